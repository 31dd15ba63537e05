"""Patches, sparse codes over a dictionary, fusion by them, and how the dictionary was learned."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from MedFusionLib.registry import find_method
from MedFusionLib.training.ksvd import learn
from MedFusionLib.transforms import patches, sparse_coding
from MedFusionLib.transforms.sparse_coding import code, decode, dictionary, fuse_by_code
from MedFusionLib.weights import find_model


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_atoms(d=64, m=256, seed=0):
    atoms = torch.randn((d, m), generator=seeded(seed), dtype=torch.float64)
    return atoms / atoms.norm(dim=0)


def mixtures(atoms, n, of, seed=1):
    """Signals of `of` atoms each, and their codes (n, m)."""
    full = torch.zeros((n, atoms.shape[1]), dtype=torch.float64)
    places = torch.rand(full.shape, generator=seeded(seed)).argsort(1)[:, :of]
    full.scatter_(1, places, torch.randn((n, of), generator=seeded(seed + 1), dtype=torch.float64))
    return full @ atoms.T, full


def full_code(index, weights, m):
    return torch.zeros((len(index), m), dtype=weights.dtype).scatter_add_(1, index, weights)


def one_by_one(signal, atoms, most):
    """Orthogonal matching pursuit as it is written in the book: least squares anew after each choice."""
    chosen, residual = [], signal
    for _ in range(most):
        chosen.append(int(np.abs(atoms.T @ residual).argmax()))
        weights = np.linalg.lstsq(atoms[:, chosen], signal, rcond=None)[0]
        residual = signal - atoms[:, chosen] @ weights
    return chosen, weights


def images(shape=(40, 37), count=2, seed=0, dtype=torch.float64):
    return torch.rand((2, count, *shape), generator=seeded(seed), dtype=dtype)


@pytest.mark.parametrize("stride", [1, 2, 3, 8])
@pytest.mark.parametrize("shape", [(8, 8), (17, 9), (30, 23)])
def test_patches_put_together_again_are_the_image(shape, stride):
    x = images(shape)
    padded = patches.extend(x, 8, stride)
    size = tuple(padded.shape[2:])
    again = patches.fold(patches.unfold(padded, 8, stride), size, 8, stride) / patches.counts(size, 8, stride, x)
    torch.testing.assert_close(again[..., : shape[0], : shape[1]], x)


def test_patches_lie_row_by_row_and_are_counted_right():
    x = torch.arange(20.0).reshape(1, 1, 4, 5)
    assert patches.unfold(x, 3, 1).shape == (1, 1, 9, 6)
    assert patches.unfold(x, 3, 1)[0, 0, :, 4].tolist() == [6, 7, 8, 11, 12, 13, 16, 17, 18]
    edge, middle = [1, 2, 3, 2, 1], [2, 4, 6, 4, 2]
    assert patches.counts((4, 5), 3, 1, x)[0, 0].tolist() == [edge, middle, middle, edge]
    assert [patches.places(length, 8, 3) for length in (1, 8, 9, 11, 12)] == [1, 1, 2, 2, 3]


def test_the_code_of_three_random_atoms_is_found():
    atoms = random_atoms()
    signals, full = mixtures(atoms, 400, 3)
    found = full_code(*code(signals, atoms, 3), 256)
    assert ((found - full).abs().amax(1) < 1e-8).double().mean() > 0.95


@pytest.mark.parametrize("name", sparse_coding.DICTIONARIES)
def test_the_pursuit_is_that_of_its_definition(name):
    # On coherent atoms and signals that no few of them make: the same choices, in the same order, and weights.
    atoms = dictionary(name)
    signals = torch.randn((30, 64), generator=seeded(), dtype=torch.float64)
    index, weights = code(signals - signals.mean(1, keepdim=True), atoms, 12)
    for n, signal in enumerate((signals - signals.mean(1, keepdim=True)).numpy()):
        chosen, expected = one_by_one(signal, atoms.numpy(), 12)
        assert index[n].tolist() == chosen
        np.testing.assert_allclose(weights[n], expected, atol=1e-9)


def test_a_code_is_done_when_its_residual_is_within_the_tolerance():
    atoms = random_atoms()
    signals = torch.randn((200, 64), generator=seeded(3), dtype=torch.float64)
    index, weights = code(signals, atoms, 40, tolerance=2.0)
    assert (signals - decode(index, weights, atoms)).norm(dim=1).max() <= 2.0
    # One atom less, and the residual would have been too large.
    sizes = (weights != 0).sum(1)
    for n in range(0, 200, 20):
        shorter = code(signals[n : n + 1], atoms, int(sizes[n]) - 1)
        assert (signals[n] - decode(*shorter, atoms)[0]).norm() > 2.0


def test_nothing_has_no_code_and_many_atoms_leave_nothing():
    atoms = random_atoms().float()
    signals = torch.randn((50, 64), generator=seeded())
    signals[::2] = 0
    index, weights = code(signals, atoms, 64)
    assert (weights[::2] == 0).all()
    assert weights.isfinite().all()
    # Where the squares' difference is rounding, the norm is a thousandth.
    assert ((decode(index, weights, atoms) - signals).norm(dim=1) <= 2e-3 * signals.norm(dim=1)).all()


def test_atoms_that_cannot_tell_the_rest_do_no_harm():
    # Twins, exactly of unit norm: after the first nothing is left that either could say.
    atoms = torch.eye(8)[:, :1].repeat(1, 2)
    assert code(torch.ones(3, 8), atoms, 2)[1].tolist() == [[1, 0]] * 3


def test_codes_do_not_depend_on_what_is_coded_beside(monkeypatch):
    atoms, signals = dictionary("dct"), torch.randn((100, 64), generator=seeded(), dtype=torch.float64)
    whole = code(signals, atoms, 8)
    monkeypatch.setattr(sparse_coding, "_IN_CACHE", 7)
    for one, other in zip(whole, code(signals, atoms, 8), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", sparse_coding.DICTIONARIES)
def test_atoms_have_unit_norm_and_no_mean_and_span_every_patch(name):
    atoms = dictionary(name)
    assert atoms.shape == (64, 256)
    torch.testing.assert_close(atoms.norm(dim=0), torch.ones(256, dtype=torch.float64))
    # The first cosine is the constant: of patches without mean it is never taken.
    assert atoms[:, name == "dct" :].mean(0).abs().max() < 1e-7
    assert torch.linalg.matrix_rank(atoms - atoms.mean(0), atol=1e-4) == 63


def test_the_sharper_source_is_taken():
    sharp = images((32, 32))[:, :1]
    blurred = (sharp + sharp.roll(1, 2) + sharp.roll(1, 3) + sharp.roll((1, 1), (2, 3))) / 4
    for pair in ([sharp, blurred], [blurred, sharp]):
        fused = fuse_by_code(torch.cat(pair, 1), dictionary("learned"), 1, 16, 1e-4, low="winner")
        torch.testing.assert_close(fused, sharp)


def test_of_flat_sources_the_brightest_wins():
    x = torch.tensor([0.2, 0.7, 0.5]).reshape(1, 3, 1, 1).expand(1, 3, 12, 12)
    fused = fuse_by_code(x, dictionary("dct").float(), 2, 4, 1e-4, low="winner")
    torch.testing.assert_close(fused, torch.full((1, 1, 12, 12), 0.7))


def test_bright_bone_without_texture_is_kept_unless_the_winner_has_the_mean():
    flat, textured = torch.ones(1, 1, 24, 24), 0.1 + 0.05 * images((24, 24), 1, dtype=torch.float32)[:1]
    method = find_method("sparse").function
    assert method(torch.cat([flat, textured], 1)).mean() > 0.9
    assert method(torch.cat([flat, textured], 1), low="winner").mean() < 0.2


def test_what_the_codes_leave_is_dropped_on_demand():
    clean = (torch.arange(32) / 8).sin()[:, None].mul((torch.arange(32) / 6).cos()) * 0.3 + 0.5
    noisy = clean + 0.05 * torch.randn((1, 2, 32, 32), generator=seeded())
    method = find_method("sparse").function
    # Noise of 0.05 has norm 0.4 in a patch of 64 voxels: 102 gray levels.
    options = {"tolerance": 100, "low": "mean"}
    error = {name: (method(noisy, residual=name, **options) - clean).std() for name in ("kept", "dropped")}
    assert error["dropped"] < 0.6 * error["kept"]


def test_with_all_atoms_nothing_is_left_to_drop():
    x = images((20, 19))
    method = find_method("sparse").function
    torch.testing.assert_close(method(x, atoms=64, tolerance=0), method(x, atoms=64, tolerance=0, residual="dropped"))


@pytest.mark.parametrize("stride", [1, 3])
def test_strips_leave_no_seams_and_progress_is_told(stride, monkeypatch):
    x, shares = images((41, 30)), []
    whole = fuse_by_code(x, dictionary("dct"), stride, 4, 1e-4)
    monkeypatch.setattr(sparse_coding, "_IN_MEMORY", 100)
    pieces = fuse_by_code(x, dictionary("dct"), stride, 4, 1e-4, progress=shares.append)
    torch.testing.assert_close(pieces, whole)
    assert len(shares) > 4
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1


def test_a_planted_dictionary_is_learned():
    planted = random_atoms(16, 24)
    signals = mixtures(planted, 1500, 2)[0]
    errors = []
    found = learn(signals, 24, 2, 25, progress=lambda _, error: errors.append(error))
    torch.testing.assert_close(found.norm(dim=0), torch.ones(24, dtype=torch.float64))
    assert errors[-1] < 0.3 * errors[0]
    assert ((planted.T @ found).abs().amax(1) > 0.99).double().mean() > 0.8
    assert torch.equal(found, learn(signals, 24, 2, 25))


def test_signals_that_are_alike_do_not_fill_the_dictionary():
    signals = mixtures(random_atoms(16, 24), 600, 2)[0]
    signals[:500] = signals[0]
    found = learn(signals, 24, 2, 12)
    assert (found.T @ found).abs().fill_diagonal_(0).max() < 0.999


def test_atoms_that_are_alike_or_idle_give_way_to_the_worst_coded_signals():
    from MedFusionLib.training import ksvd

    atoms, signals = random_atoms(16, 24), torch.randn((200, 16), generator=seeded(), dtype=torch.float64)
    atoms[:, 7] = -atoms[:, 3]
    before, (index, weights) = atoms.clone(), code(signals, atoms, 3)
    weights[index == 11] = 0
    residual = signals - decode(index, weights, atoms)
    ksvd._replace(atoms, signals, residual, index, weights)
    assert ((atoms != before).any(0)).nonzero()[:, 0].tolist() == [7, 11]
    worst = residual.norm(dim=1).argsort(descending=True)[:2]
    torch.testing.assert_close(atoms[:, [7, 11]], (signals[worst] / signals[worst].norm(dim=1, keepdim=True)).T)


def test_bringing_an_atom_up_to_date_never_makes_the_codes_worse():
    from MedFusionLib.training import ksvd

    atoms, signals = random_atoms(16, 24, seed=5), mixtures(random_atoms(16, 24), 300, 3)[0]
    index, weights = code(signals, atoms, 3)
    residual = signals - decode(index, weights, atoms)
    errors = [residual.norm()]
    for k in range(24):
        ksvd._update(atoms, residual, index, weights, k)
        torch.testing.assert_close(residual, signals - decode(index, weights, atoms))
        errors.append(residual.norm())
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(errors))
    assert errors[-1] < 0.9 * errors[0]


def test_the_learned_dictionary_does_what_it_did_when_it_was_made():
    golden = find_model("patch_dictionary").golden()
    again = decode(*code(golden["input"].double(), dictionary("learned"), 8), dictionary("learned"))
    torch.testing.assert_close(again.float(), golden["output"], atol=1e-5, rtol=0)


def test_the_recipe_reads_train_images_of_other_patients_than_it_measures_on(tmp_path):
    from PIL import Image

    from MedFusionLib.training.recipes import patch_dictionary as recipe

    splits = {}
    for number, (pair, modalities) in enumerate(recipe._PAIRS.items()):
        ids = [f"{number}{n}" for n in range(3)]
        cases = dict(zip(ids, ("kept", recipe.HELD_OUT[number], "of the test"), strict=True))
        splits[pair] = {"train": ids[:2], "test": ids[2:], "case": cases}
        for name, level in zip(ids[:2], (10, 100), strict=True):  # a test image is not even there
            for modality in modalities:
                folder = tmp_path / "aanlib" / pair / modality
                folder.mkdir(parents=True, exist_ok=True)
                stripes = np.full((16, 16), level, np.uint8)
                stripes[::4] += 20
                Image.fromarray(stripes).save(folder / f"{name}.png")
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    for held_out in (False, True):
        found = recipe.patches_of(tmp_path, held_out=held_out)
        assert set(found) == {"CT", "PET", "SPECT", "MRI"}
        # One image each, three of MR; 81 patches of each, all with a row of stripes.
        assert [len(found[kind]) for kind in ("CT", "PET", "SPECT", "MRI")] == [81, 81, 81, 243]
        assert all(kind.mean(1).abs().max() < 1e-12 for kind in found.values())
