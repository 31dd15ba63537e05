"""Networks: of the published size, the shipped weights give what they gave, a method does what its network is for."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from MedFusionLib.errors import FileError
from MedFusionLib.networks import densefuse, fusiondn, ifcnn, mcfnet, siamese, supervised_cnn, u2fusion
from MedFusionLib.networks._blocks import BLOCKS
from MedFusionLib.networks.lean import lean, one_by_one
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
    ("network", "count", "apart"),
    [
        (densefuse.DenseFuse(), 74_193, ()),
        (ifcnn.IFCNN(ifcnn.Config(channels=3)), 83_587, ()),
        (siamese.Siamese(), 435_202, ()),
        (u2fusion.U2Fusion(), 659_217, ()),
        (fusiondn.FusionDN(), 1_161_217, (torch.nn.BatchNorm2d,)),
        (mcfnet.MCFNet(), 2_164_289, ()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_network_of_the_papers_sizes_has_as_many_parameters(network, count, apart):
    counted = [
        each for layer in network.modules() for each in layer.parameters(recurse=False) if type(layer) not in apart
    ]
    assert sum(each.numel() for each in counted) == count


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_gives_as_many_channels_whatever_its_kind(name):
    assert BLOCKS[name](8, 4, 3)(torch.rand(2, 8, 12, 9)).shape == (2, 20, 12, 9)


def unsettled(network):
    """A network whose normalization is not the identity."""
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for values, low in ((layer.running_mean, -0.2), (layer.running_var, 0.5), (layer.weight, 0.5)):
                values.data = torch.rand(values.shape, generator=generator) + low
    return network.eval()


@pytest.mark.parametrize(
    ("network", "shapes"),
    [
        (ifcnn.IFCNN(), [(40, 36), (2, 8), (1, 1)]),
        (ifcnn.IFCNN(ifcnn.Config(channels=3)), [(40, 36), (2, 8), (1, 1)]),
        (fusiondn.FusionDN(fusiondn.Config(4, 2, (6, 4))), [(40, 36), (2, 8)]),
        (mcfnet.MCFNet(mcfnet.Config(4, 2)), [(40, 36), (8, 12)]),
        (supervised_cnn.SupervisedCNN(supervised_cnn.Config(4)), [(40, 36), (8, 12)]),
    ],
    ids=("ifcnn", "ifcnn published", "fusiondn", "mcfnet", "supervised_cnn"),
)
def test_a_lean_network_gives_what_the_trained_one_gives(network, shapes):
    torch.manual_seed(0)
    network = unsettled(network)
    short = lean(deepcopy(network))
    for shape in shapes:
        sources = torch.rand(2, 2, *shape)
        # The same sums in another order.
        with torch.no_grad():
            torch.testing.assert_close(short(sources), network(sources), atol=5e-6, rtol=1e-5)


def test_one_by_one_gives_what_a_batch_gives():
    images, network = torch.rand(3, 2, 24, 20), u2fusion.U2Fusion(u2fusion.Config(4, (6, 4))).eval()
    with torch.no_grad():
        torch.testing.assert_close(one_by_one(network, images), network(images), atol=1e-6, rtol=1e-5)


def test_both_orders_of_a_siamese_network_are_what_it_says_of_each():
    network, (first, second) = siamese.Siamese(siamese.Config(4)), torch.rand(2, 1, 16, 10, 9)
    with torch.no_grad():
        there, back = network.verdicts(first, second)
        torch.testing.assert_close(there, network.logits(first, second), atol=1e-5, rtol=0)
        torch.testing.assert_close(back, network.logits(second, first), atol=1e-5, rtol=0)


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
