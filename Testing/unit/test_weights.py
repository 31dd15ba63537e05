"""Models are found by name, trusted only if they are what their card says, and told apart from damaged ones."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from MedFusionLib import weights
from MedFusionLib.errors import FileError, UnknownNameError
from MedFusionLib.training.loop import CURVE
from MedFusionLib.weights import CARD, CARD_FACTS, GOLDEN, WEIGHTS, find_model, list_models, read_tensors, save_model

TENSORS = {"filters": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(1, dtype=torch.float16)}


@pytest.fixture
def model(tmp_path):
    """A small model in a folder of its own."""
    card = {fact: "told" for fact in CARD_FACTS if fact != "sha256"}
    return save_model(tmp_path / "small", card, TENSORS, {"input": torch.zeros(2)})


def test_what_was_saved_is_read_again(model):
    found = find_model(model.folder)
    assert found.name == "small"
    assert set(found.card) == set(CARD_FACTS)
    read = found.weights()
    assert {name: tensor.dtype for name, tensor in read.items()} == {n: t.dtype for n, t in TENSORS.items()}
    assert all(torch.equal(read[name], tensor) for name, tensor in TENSORS.items())
    assert torch.equal(found.golden()["input"], torch.zeros(2))


def test_a_model_is_found_by_its_name(model, monkeypatch):
    monkeypatch.setattr(weights, "MODELS", model.folder.parent)
    (model.folder.parent / "no model").mkdir()
    assert [each.name for each in list_models()] == ["small"]
    assert find_model("small") == model
    with pytest.raises(UnknownNameError, match=r"'smal'; accepted: small, or a folder.*Did you mean small\?"):
        find_model("smal")
    with pytest.raises(UnknownNameError, match="'no model'"):
        find_model("no model")


def test_without_any_model_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "MODELS", tmp_path / "none")
    assert list_models() == []
    with pytest.raises(UnknownNameError, match="none is installed"):
        find_model("small")


@pytest.mark.parametrize("name", [WEIGHTS, GOLDEN])
def test_a_missing_file_is_named(model, name):
    (model.folder / name).unlink()
    with pytest.raises(FileError, match=f"{name}: No such file"):
        model.weights() if name == WEIGHTS else model.golden()


@pytest.mark.parametrize("change", [lambda content: content[:-4], lambda content: b"", lambda content: content + b"x"])
def test_a_file_that_is_not_the_cards_is_refused(model, change):
    path = model.folder / WEIGHTS
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FileError, match=r"weights.safetensors with sha256 \w{64}, \d+ bytes; accepted: sha256 \w{64}"):
        model.weights()


@pytest.mark.parametrize("content", [b"", b"not tensors at all", b"\x80\x04pickle", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused_even_if_the_card_names_it(model, content):
    (model.folder / WEIGHTS).write_bytes(content)
    card = json.loads((model.folder / CARD).read_text())
    card["sha256"][WEIGHTS] = hashlib.sha256(content).hexdigest()
    (model.folder / CARD).write_text(json.dumps(card))
    with pytest.raises(FileError, match="accepted: a whole safetensors file"):
        find_model(model.folder).weights()


def test_a_truncated_file_without_a_card_is_refused(model):
    path = model.folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FileError, match="accepted: a whole safetensors file"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "accepted: JSON"),
        ("\xff", "accepted: JSON"),
        ("[]", f"without {CARD_FACTS[0]}, "),
        ('{"name": "x"}', f"without {CARD_FACTS[1]}, "),
    ],
)
def test_a_card_that_tells_too_little_is_refused(model, text, message):
    (model.folder / CARD).write_bytes(text.encode("latin-1"))
    with pytest.raises(FileError, match=message):
        _ = find_model(model.folder).card


def test_a_card_without_the_sum_of_a_file_vouches_for_nothing(model):
    card = json.loads((model.folder / CARD).read_text())
    for sums in ({}, "told"):
        (model.folder / CARD).write_text(json.dumps({**card, "sha256": sums}))
        with pytest.raises(FileError, match="sha256"):
            find_model(model.folder).weights()


@pytest.mark.parametrize("model", list_models(), ids=lambda model: model.name)
def test_every_installed_model_is_whole(model):
    assert model.card["name"] == model.name
    assert all(model.card[fact] not in ("", None, {}) for fact in CARD_FACTS)
    assert {path.name for path in model.folder.iterdir()} - {CURVE} == {CARD, WEIGHTS, GOLDEN}
    for tensors in (model.weights(), model.golden()):
        assert tensors
        assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_all_models_together_are_small():
    size = sum(path.stat().st_size for model in list_models() for path in model.folder.iterdir())
    assert size < 15 * 2**20
