"""Weights that others published: read without running anything, checked, and true to the authors' own images."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from MedFusionLib.cli import main
from MedFusionLib.errors import FileError, ParameterError, UnknownNameError
from MedFusionLib.networks.ifcnn import IFCNN, Config
from MedFusionLib.networks.loading import trained
from MedFusionLib.networks.published import import_weights
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse
from MedFusionLib.registry import find_method
from MedFusionLib.weights import find_model


@pytest.fixture
def file(tmp_path):
    """A network in the authors' names."""
    torch.manual_seed(0)
    own = IFCNN(Config(channels=3)).state_dict()
    theirs = {
        name.replace("2.0.", "2.conv.")
        .replace("3.0.", "3.conv.")
        .replace("2.1.", "2.bn.")
        .replace("3.1.", "3.bn."): each
        for name, each in own.items()
        if "num_batches" not in name
    }
    torch.save(theirs, tmp_path / "published.pth")
    return tmp_path / "published.pth"


def test_published_weights_become_a_model_that_a_method_runs_with(file, tmp_path, capsys):
    assert main(f"import-weights ifcnn {file} -o {tmp_path / 'model'}".split()) == 0
    assert find_model(tmp_path / "model").card["name"] == "ifcnn_published"
    volumes = [head_phantom(modality, shape=(3, 40, 36), spacing=(5, 5, 40)) for modality in ("CT", "MR")]
    fused = fuse(volumes, method="ifcnn", model=tmp_path / "model", device="cpu")
    assert fused.story["model"]["name"] == "ifcnn_published"
    assert (fused.volume.array != fuse(volumes, method="ifcnn", device="cpu").volume.array).any()


def test_a_model_for_a_method_that_was_not_learned_is_refused(tmp_path):
    volumes = [head_phantom(modality, shape=(3, 20, 18), spacing=(9, 9, 40)) for modality in ("CT", "MR")]
    with pytest.raises(ParameterError, match="not learned"):
        fuse(volumes, method="laplacian", model=tmp_path)
    with pytest.raises(UnknownNameError, match="Model"):
        fuse(volumes, method="ifcnn", model=tmp_path / "nowhere")


class Dangerous:
    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_foreign_truncated_and_dangerous_files_are_refused(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = torch.load(file, weights_only=True)
    torch.save({"conv1.weight": content["conv1.weight"]}, tmp_path / "part.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "short.pth").write_bytes(file.read_bytes()[:500])
    (tmp_path / "bad.pth").write_bytes(pickle.dumps({"conv1.weight": Dangerous()}, protocol=2))
    for name in ("part", "list", "short", "bad", "nowhere"):
        with pytest.raises(FileError, match=f"{name}.pth"):
            import_weights("ifcnn", tmp_path / f"{name}.pth", tmp_path / "out")
    assert not (tmp_path / "touched").exists()
    assert not (tmp_path / "out").exists()
    with pytest.raises(UnknownNameError, match="ifcnn"):
        import_weights("laplacian", file, tmp_path / "out")


def port(tensors, first, second):
    """The port of U2Fusion, written from its description: zeros beyond the border, images from -1 to 1."""
    from torch.nn import functional

    def layer(x, name):
        return functional.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1)

    x = functional.leaky_relu(layer(torch.cat([first, second], 1), "conv_1.0"), 0.2)
    for number in range(5):
        x = torch.cat([x, functional.leaky_relu(layer(x, f"dense_layers.{number}.conv.0"), 0.2)], 1)
    for number in range(3):
        x = functional.leaky_relu(layer(x, f"sub.{number}.0"), 0.2)
    return layer(x, "sub.3").tanh()


def test_weights_of_the_port_of_u2fusion_give_what_the_port_gives(shared_data, tmp_path):
    file = shared_data / "weights" / "u2fusion" / "model.pth"
    assert main(f"import-weights u2fusion {file} -o {tmp_path / 'model'} --quiet".split()) == 0
    model = find_model(tmp_path / "model")
    names = model.weights()
    theirs = {"conv_1.0": "first.0", "sub.3": "decoder.3.0"}
    theirs |= {f"dense_layers.{number}.conv.0": f"block.layers.{number}.0" for number in range(5)}
    theirs |= {f"sub.{number}.0": f"decoder.{number}.0" for number in range(3)}
    tensors = {f"{name}.{kind}": names[f"{own}.{kind}"] for name, own in theirs.items() for kind in ("weight", "bias")}
    first, second = torch.rand((2, 1, 1, 40, 36), generator=torch.Generator().manual_seed(0))
    expected = (port(tensors, 2 * first - 1, 2 * second - 1) + 1) / 2
    ours = find_method("u2fusion").function(torch.cat([first, second], 1), model=tmp_path / "model")
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("join", ["MAX", "SUM"])
def test_the_authors_weights_give_the_authors_images(join, shared_data, tmp_path):
    weights = shared_data / "weights" / "ifcnn" / f"IFCNN-{join}.pth"
    outputs = shared_data / "slices" / "peers_outputs"
    folder = import_weights("ifcnn", weights, tmp_path / join).folder
    differences = []
    for each in json.loads((outputs / "mapping.json").read_text(encoding="utf-8")):
        if each["method"] != f"IFCNN-{join}":
            continue
        files = [outputs.parent / each[key] for key in ("src_functional_or_ct", "src_mri", "file")]
        first, second, theirs = (torch.from_numpy(np.array(Image.open(file).convert("L"))).float() for file in files)
        sources = torch.stack([first, second])[None] / 255
        ours = trained(folder, IFCNN, Config, sources)(sources, join.lower())[0, 0]
        differences.append((255 * ours.clamp(0, 1) - theirs).abs().mean())
    # The images were rounded to gray levels, and one channel after the other: 0.42 on the mean of all.
    assert len(differences) == 8
    assert torch.stack(differences).mean() < 0.5
    assert max(differences) < 1
