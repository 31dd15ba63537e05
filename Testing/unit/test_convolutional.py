"""Convolutional sparse coding: what it minimizes, how well, and what the methods on it keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MedFusionLib.methods.csmca import csmca
from MedFusionLib.methods.csr import csr
from MedFusionLib.methods.deconvolutional import deconvolutional
from MedFusionLib.training.convolutional import learn_filters
from MedFusionLib.transforms import convolutional
from MedFusionLib.transforms.convolutional import (
    MODEL,
    activity,
    cosine_filters,
    decode,
    encode,
    extended,
    filters_named,
    objective,
    smooth_base,
)
from MedFusionLib.weights import find_model


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:40, 0:44]
    texture = 0.2 * np.sin(x / 2 + y / 3) + 0.1 * rng.standard_normal((40, 44))
    return torch.from_numpy(texture)[None]


def test_cosines_are_of_unit_norm_and_no_constant():
    filters = cosine_filters()
    assert filters.shape == (32, 8, 8)
    torch.testing.assert_close(filters.flatten(1).norm(dim=1), torch.ones(32))
    assert filters.sum((1, 2)).abs().max() < 1e-5


def test_the_code_is_where_the_objective_is_stationary(image):
    """A filter correlates with what is left by the sparsity where its map is not 0, and by less elsewhere."""
    filters, sparsity = cosine_filters().double(), 0.02
    maps = encode(image, filters, sparsity, iterations=1500, tolerance=1e-6)
    left = image - decode(maps, filters)
    slope = torch.fft.irfft2(
        torch.fft.rfft2(left)[:, None] * torch.fft.rfft2(filters, s=image.shape[1:]).conj(), s=image.shape[1:]
    )
    used = maps != 0
    assert 0.001 < used.double().mean() < 0.2
    torch.testing.assert_close(slope[used], sparsity * maps[used].sign(), atol=1e-5, rtol=0)
    assert slope[~used].abs().max() <= sparsity + 1e-5


def test_the_default_tolerance_is_within_a_thousandth_of_the_minimum(image):
    filters = cosine_filters().double()
    quick, exact = (
        objective(image, encode(image, filters, 0.02, **options), filters, 0.02)
        for options in ({}, {"iterations": 1500, "tolerance": 1e-6})
    )
    assert exact <= quick <= 1.001 * exact


def test_images_are_solved_side_by_side_as_they_are_alone(image):
    """One that is done early, and one that is black, leave the others as they are."""
    images = torch.cat([image, torch.zeros_like(image), 0.1 * image.flip(1), image.round(decimals=1)])
    together = encode(images, cosine_filters().double(), 0.02)
    alone = torch.cat([encode(each[None], cosine_filters().double(), 0.02) for each in images])
    torch.testing.assert_close(together, alone, atol=1e-10, rtol=0)  # the rounding of float64 sums
    assert together[1].abs().max() == 0


def test_progress_rises_to_the_end_over_parts_of_the_work(image, monkeypatch):
    monkeypatch.setattr(convolutional, "_CACHE_VALUES", 2 * 32 * 40 * 44)
    told = []
    encode(image.repeat(5, 1, 1), cosine_filters(), 0.001, progress=told.append)
    assert told == sorted(told)
    assert told[0] < 0.1
    assert 0.8 < told[-1] <= 1  # the last of three parts begins at 4 of 5


def test_a_large_sparsity_leaves_nothing(image):
    assert encode(image, cosine_filters(), 100.0).abs().max() == 0


def test_a_code_of_known_filters_finds_their_places():
    filters = cosine_filters().double()
    maps = torch.zeros(1, 32, 40, 44, dtype=torch.float64)
    maps[0, 3, 10, 12], maps[0, 20, 25, 30] = 1.0, -0.7
    found = encode(decode(maps, filters), filters, 1e-3, tolerance=1e-5, iterations=2000)
    assert set(map(tuple, (found.abs() > 0.3).nonzero().tolist())) == {(0, 3, 10, 12), (0, 20, 25, 30)}


def test_progress_is_told_and_can_stop_the_coder(image):
    class StopError(Exception):
        pass

    def stop(share):
        assert 0 <= share <= 1
        raise StopError

    with pytest.raises(StopError):
        encode(image, cosine_filters(), 0.001, progress=stop)


def test_the_smooth_base_keeps_constants_and_halves_at_the_frequency_of_its_smoothness():
    flat = torch.full((1, 20, 24), 0.3, dtype=torch.float64)
    torch.testing.assert_close(smooth_base(flat, 5.0), flat)
    # A wave of frequency w along one axis is divided by 1 + s (2 - 2 cos w).
    place = torch.arange(64, dtype=torch.float64)
    wave = torch.cos(np.pi * (place + 0.5) / 8).repeat(16, 1)  # mirrored borders continue it
    gain = 1 / (1 + 5 * (2 - 2 * np.cos(np.pi / 8)))
    torch.testing.assert_close(smooth_base(wave, 5.0), gain * wave, atol=1e-12, rtol=0)


def test_activity_is_the_mean_use_of_all_filters_around():
    maps = torch.zeros(2, 5, 5)
    maps[0, 2, 2], maps[1, 2, 2] = 9.0, -9.0
    assert activity(maps, 1)[2, 2] == pytest.approx(2.0)
    assert activity(maps, 1)[0, 0] == 0


def test_small_images_are_mirrored_to_twice_the_filters():
    assert extended(torch.zeros(3, 5, 30), cosine_filters()).shape == (3, 16, 30)


def test_learned_filters_code_with_less():
    rng = np.random.default_rng(1)
    truth = torch.from_numpy(rng.standard_normal((4, 8, 8))).float()
    truth /= truth.flatten(1).norm(dim=1)[:, None, None]
    maps = torch.from_numpy((rng.random((2, 4, 32, 32)) < 0.01) * rng.standard_normal((2, 4, 32, 32))).float()
    images = list(decode(maps, truth))
    told = []
    learn_filters(images, cosine_filters(4), 0.01, rounds=12, report=lambda number, value: told.append(value))
    assert told[-1] < 0.8 * told[0]


@pytest.mark.parametrize("method", [csr, csmca, deconvolutional])
def test_the_busier_source_gives_the_details(method):
    y, x = np.mgrid[0:48, 0:48]
    busy = torch.from_numpy(0.5 + 0.3 * np.sin(x / 1.5) * np.cos(y / 1.7)).float()
    halves = torch.stack([torch.where(torch.arange(48) < 24, busy, 0.5), torch.where(torch.arange(48) < 24, 0.5, busy)])
    fused = method(halves[None], low="mean")[0, 0]
    # Away from the seam each half is that of the source with texture.
    for columns in (slice(6, 16), slice(32, 42)):
        torch.testing.assert_close(fused[6:42, columns], busy[6:42, columns], atol=0.12, rtol=0)


def test_the_model_gives_what_it_gave_when_it_was_made():
    golden = find_model(MODEL).golden()
    filters = filters_named("details")
    found = decode(encode(golden["image"][None], filters, 0.01), filters)[0]
    # The coder stops at a tolerance of 2e-3; float32 rounding may end it an iteration earlier or later.
    torch.testing.assert_close(found, golden["decoded"], atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ["details", "cartoon", "texture", "arrangement"])
def test_learned_filters_are_of_unit_norm(name):
    torch.testing.assert_close(filters_named(name).flatten(1).norm(dim=1), torch.ones(32), atol=1e-4, rtol=0)
