"""Networks: of the published size, the shipped weights give what they gave, a method does what its network is for."""

from __future__ import annotations

import pytest
import torch

from MedFusionLib.errors import FileError
from MedFusionLib.networks import densefuse, ifcnn, siamese, u2fusion
from MedFusionLib.networks._blocks import BLOCKS
from MedFusionLib.networks.loading import trained
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse
from MedFusionLib.registry import find_method
from MedFusionLib.training.patches import blurred
from MedFusionLib.training.recipe import recipes
from MedFusionLib.weights import list_models

INSTALLED = {model.name: model for model in list_models()}
SHIPPED = {name: recipe for name, recipe in recipes().items() if name in INSTALLED}


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (densefuse.DenseFuse(), 74_193),
        (ifcnn.IFCNN(ifcnn.Config(channels=3)), 83_587),
        (siamese.Siamese(), 435_202),
        (u2fusion.U2Fusion(), 659_217),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_network_of_the_papers_sizes_has_as_many_parameters(network, count):
    assert sum(each.numel() for each in network.parameters()) == count


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_gives_as_many_channels_whatever_its_kind(name):
    assert BLOCKS[name](8, 4, 3)(torch.rand(2, 8, 12, 9)).shape == (2, 20, 12, 9)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_weights_give_what_they_gave(name):
    recipe, golden = SHIPPED[name], INSTALLED[name].golden()
    network = trained(name, recipe.build, type(recipe.config), golden["sources"])
    found = recipe.golden(network, golden["sources"])
    # Another processor adds in another order: a hundred rounding errors of float32 around 1.
    torch.testing.assert_close(found, golden["output"], atol=1e-4, rtol=1e-4)


def test_weights_of_another_network_are_refused():
    with pytest.raises(FileError, match="tensors of this network"):
        trained("cnn_pyramid", lambda config: densefuse.DenseFuse(), siamese.Config, torch.zeros(1))


def textured(seed=0, size=96):
    noise = torch.rand((1, 1, size, size), generator=torch.Generator().manual_seed(seed))
    return 0.2 + 0.6 * (blurred(noise, 1.0) - 0.35) / 0.3


def test_cnn_pyramid_takes_each_half_from_the_source_that_is_sharp_there():
    sharp = textured().clamp(0, 1)
    soft, half = blurred(sharp, 2.0), sharp.shape[-1] // 2
    first, second = sharp.clone(), sharp.clone()
    first[..., half:], second[..., :half] = soft[..., half:], soft[..., :half]
    fused = find_method("cnn_pyramid").function(torch.cat([first, second], 1), similarity=0.0)
    loss = (fused - sharp).abs().mean()
    assert loss < 0.2 * (first - sharp).abs().mean()


def test_cnn_pyramid_does_not_mind_the_order():
    sources = torch.cat([textured(0), textured(1)], 1)
    there, back = (find_method("cnn_pyramid").function(each) for each in (sources, sources.flip(1)))
    # Where both have the same energy to the last bit the first is taken: nowhere here.
    torch.testing.assert_close(there, back, atol=1e-5, rtol=0)


def test_a_method_of_two_takes_three_in_turn_anatomy_first_and_says_so():
    volumes = [head_phantom(modality, shape=(3, 40, 36), spacing=(5, 5, 40)) for modality in ("PET", "CT", "MR")]
    fused = fuse(volumes, method="cnn_pyramid", reference=1, device="cpu")
    note = next(note for note in fused.story["notes"] if "takes 2 sources" in note)
    assert note.endswith(", ".join(volumes[number].label for number in (1, 2, 0)))
    assert fused.story["model"]["name"] == "cnn_pyramid"
    pair = fuse([volumes[1], volumes[2]], method="cnn_pyramid", device="cpu")
    assert (fused.volume.array != pair.volume.array).any()
