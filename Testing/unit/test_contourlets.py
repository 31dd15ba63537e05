"""Contourlets rebuild what they took apart, and their fans have the published taps and directions."""

from __future__ import annotations

import math

import pytest
import torch

from MedFusionLib.transforms import filterbank, nonsubsampled, nsct
from Testing.unit.test_shearlets import EPS, SHAPES, SLOW, mean, own_share, random, salient, wave

PUBLISHED = {
    (1, 0): 6305740,
    (2, 1): -1535709,
    (3, 0): 311780,
    (3, 2): 495145,
    (4, 1): -77910,
    (4, 3): -136514,
    (5, 0): 13804,
    (5, 2): 15435,
    (5, 4): 27930,
    (6, 1): -1715,
    (6, 3): -2009,
    (6, 5): -3675,
    (7, 0): 100,
    (7, 2): 105,
    (7, 4): 126,
    (7, 6): 231,
}
"""Taps of the diamond filter of order 7, times 2^24."""


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("depths", [(4, 3, 3, 2), (3, 2), (1,), (0, 4)])
@pytest.mark.parametrize("shape", [*SHAPES, *(pytest.param(shape, marks=pytest.mark.slow) for shape in SLOW)])
def test_contourlets_rebuild_the_image(shape, depths, dtype):
    x = random(shape, dtype)
    for margin in (0, 32):
        details, low = nsct.analyze(x, depths, margin=margin)
        assert [bands.shape[2] for bands in details] == [2**depth for depth in depths]
        assert (nsct.synthesize(details, low, shape, margin=margin) - x).abs().max() < EPS[dtype]


def test_the_diamond_filter_has_the_published_taps():
    response = nsct.diamond(*nonsubsampled.frequencies((32, 32)))
    taps = torch.fft.irfft2(response, s=(32, 32)) * 2**24
    expected = torch.zeros(32, 32, dtype=torch.float64)
    for (i, j), tap in PUBLISHED.items():
        for row, column in ((i, j), (j, i)):
            for sign in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                expected[sign[0] * row, sign[1] * column] = tap
    assert (taps - expected).abs().max() < 1e-5


@pytest.mark.parametrize("order", range(1, 8))
def test_the_diamond_filter_is_flat_and_bounded(order):
    w = torch.linspace(-math.pi, math.pi, 101, dtype=torch.float64)
    values = nsct.diamond(w[:, None], w[None], order)
    assert values[50, 50].item() == pytest.approx(1, abs=1e-9)
    assert values[0, 0].item() == pytest.approx(-1, abs=1e-9)
    assert values.abs().max() < 1 + 1e-9
    # 1 and all derivatives below 2 * order: at a small distance h it has fallen by no more than about h^(2 order).
    near = torch.tensor(0.1, dtype=torch.float64)
    assert abs(nsct.diamond(near, near / 2, order).item() - 1) < max(5 * 0.1 ** (2 * order), 1e-10)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_sinusoid_is_strongest_in_the_band_of_its_direction(depth):
    for k in range(2**depth):
        (bands,), _ = nsct.analyze(wave(120, (k + 0.5) / 2**depth), (depth,), margin=0)
        assert bands.square().sum((-2, -1)).flatten().argmax() == k


def test_every_scale_tells_directions_apart():
    filters = nsct.bank((256, 256), margin=0, dtype=torch.float64)
    assert own_share(filters) == pytest.approx([0.73, 0.78, 0.79, 0.856], abs=0.01)


def test_the_frame_is_well_conditioned():
    filters = nsct.bank((128, 96), margin=0, dtype=torch.float64)
    total = sum(analysis**2 for analysis, _ in filterbank.bands(filters))
    assert 0.865 < total.min() < total.max() < 1.165
    assert max(synthesis.abs().max() for _, synthesis in filterbank.bands(filters)) < 1.03


def test_a_shifted_image_has_shifted_bands():
    x = random((40, 36))
    details, low = nsct.analyze(x, margin=0)
    moved, moved_low = nsct.analyze(x.roll((7, -5), (2, 3)), margin=0)
    for bands, expected in zip([*moved, moved_low], [*details, low], strict=True):
        assert (bands - expected.roll((7, -5), (-2, -1))).abs().max() < 1e-12


def test_joining_band_by_band_is_joining_all_at_once():
    x = random((33, 40), batch=2)
    details, low = nsct.analyze(x, (3, 2))
    joined = [salient(bands.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, -1)).transpose(1, 2) for bands in details]
    expected = nsct.synthesize(joined, mean(low), (33, 40))
    torch.testing.assert_close(nsct.fuse(x, salient, mean, (3, 2), together=4), expected)


def test_gradients_flow_through_both_ways():
    x = random((16, 16)).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: nsct.analyze(y, (2,), margin=0)[0][0].sum(2), x, fast_mode=True)
    assert torch.autograd.gradcheck(lambda y: nsct.fuse(y, mean, mean, (2,), margin=2), x, fast_mode=True)


def test_depths_follow_the_literature():
    assert nsct.depths_of(4, 16) == nsct.DEPTHS == (4, 3, 3, 2)
    assert nsct.depths_of(5, 2) == (1, 0, 0, 0, 0)
