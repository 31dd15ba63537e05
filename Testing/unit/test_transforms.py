"""Transforms rebuild what they took apart, match independent implementations, and keep their promises on any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MedFusionLib.transforms import dwt, pyramid, rules, window
from MedFusionLib.transforms.guided import guided_filter

EPS = {torch.float32: 2e-6, torch.float64: 1e-12}
"""Perfect reconstruction: a few hundred roundings of values up to 1 (published db4 taps carry 12 digits)."""

SHAPES = [(8, 8), (9, 7), (1, 5), (31, 64), (300, 17), (6, 5, 9), (1, 12, 8), (20, 1, 1)]


def random(shape, dtype=torch.float64, seed=0):
    return torch.rand((2, 2, *shape), generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [1, 3, 6])
def test_the_pyramid_rebuilds_the_image(shape, levels, dtype):
    x = random(shape, dtype)
    axes = window.spatial_axes(x)
    every = list(pyramid.details(x, levels, axes))
    assert (pyramid.synthesize([detail for detail, _ in every], every[-1][1], axes) - x).abs().max() < EPS[dtype]


def test_reduce_is_the_five_tap_kernel_at_every_second_voxel():
    x = random((9, 8))[:1, :1]
    kernel = torch.tensor([1.0, 4, 6, 4, 1], dtype=torch.float64) / 16
    padded = np.pad(x[0, 0].numpy(), 2, mode="symmetric")
    blurred = torch.nn.functional.conv2d(torch.from_numpy(padded)[None, None], torch.outer(kernel, kernel)[None, None])
    torch.testing.assert_close(pyramid.reduce(x, (2, 3)), blurred[..., ::2, ::2])


def test_expand_keeps_a_constant_and_interpolates_a_ramp():
    ramp = torch.arange(10, dtype=torch.float64)[None, None]
    up = pyramid.expand(ramp, [20], [2])[0, 0]
    # Away from the mirrored ends the kernel reproduces lines exactly: one step of the coarse grid is two of the fine.
    torch.testing.assert_close(up[2:-4], torch.arange(20, dtype=torch.float64)[2:-4] / 2)
    torch.testing.assert_close(pyramid.expand(torch.ones(1, 1, 5), [9], [2]), torch.ones(1, 1, 9))


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wavelet", dwt.WAVELETS)
def test_the_wavelet_transform_rebuilds_the_image(wavelet, shape, dtype):
    x = random(shape, dtype)
    axes = window.spatial_axes(x)
    details, low = dwt.analyze(x, wavelet, 3, axes)
    # db4's published taps sum to sqrt(2) only to 1e-12; through three levels and axes 1e-11 remains.
    limit = max(EPS[dtype], 2e-11)
    assert (dwt.synthesize(details, low, wavelet, shape, axes) - x).abs().max() < limit


@pytest.mark.parametrize("wavelet", dwt.WAVELETS)
def test_wavelet_coefficients_are_those_of_pywavelets(wavelet):
    pywt = pytest.importorskip("pywt", reason="PyWavelets is the oracle of this test")
    x = random((37, 46))
    details, low = dwt.analyze(x, wavelet, 1, (2, 3))
    expected_low, (horizontal, vertical, diagonal) = pywt.dwt2(x[0, 0].numpy(), wavelet, mode="symmetric")
    ours = [band[0, 0].numpy() for band in (low, *details[0])]
    for band, expected in zip(ours, (expected_low, vertical, horizontal, diagonal), strict=True):
        np.testing.assert_allclose(band, expected, atol=1e-11)


def test_the_haar_wavelet_by_hand():
    x = torch.tensor([[[1.0, 3.0, 2.0, 2.0]]])
    details, low = dwt.analyze(x, "haar", 1, (2,))
    root = 2**0.5
    torch.testing.assert_close(low, torch.tensor([[[4 / root, 4 / root]]]))
    torch.testing.assert_close(details[0][0], torch.tensor([[[-2 / root, 0.0]]]))


@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 3), (7, 11), (20, 1)])
def test_padding_mirrors_with_the_edge_repeated_even_further_than_the_image(before, after):
    x = random((5, 4))
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (before, after), (0, 0)), mode="symmetric")
    np.testing.assert_array_equal(window.symmetric_pad(x, 2, before, after), expected)


def test_neighborhoods_match_scipy():
    from scipy import ndimage

    x = random((11, 6, 9))
    one, axes = x[0, 0].numpy(), (2, 3, 4)
    pairs = [
        (window.box_max(x, axes), ndimage.maximum_filter(one, 3, mode="reflect")),
        (window.box_sum(x, axes), 27 * ndimage.uniform_filter(one, 3, mode="reflect")),
        (window.box_mean(x, 4, axes), ndimage.uniform_filter(one, 9, mode="reflect")),
        (window.gaussian(x, 1.3, axes), ndimage.gaussian_filter(one, 1.3, mode="reflect", radius=4)),
        (window.laplacian(x, axes), ndimage.laplace(one, mode="reflect")),
    ]
    for ours, scipys in pairs:
        np.testing.assert_allclose(ours[0, 0], scipys, atol=1e-12)


def test_the_guided_filter_is_that_of_its_definition():
    # a = cov(I, p) / (var(I) + eps), b = mean(p) - a mean(I), output mean(a) I + mean(b), at the middle of 5 x 5.
    guide, image = random((5, 5), seed=1)[:1, :1], random((5, 5), seed=2)[:1, :1]
    full = guided_filter(image, guide, 1, 0.1, (2, 3))[0, 0, 2, 2]
    slopes, offsets = [], []
    for row in (1, 2, 3):
        for column in (1, 2, 3):
            g = guide[0, 0, row - 1 : row + 2, column - 1 : column + 2]
            p = image[0, 0, row - 1 : row + 2, column - 1 : column + 2]
            slope = ((g * p).mean() - g.mean() * p.mean()) / (g.var(correction=0) + 0.1)
            slopes.append(slope)
            offsets.append(p.mean() - slope * g.mean())
    expected = torch.stack(slopes).mean() * guide[0, 0, 2, 2] + torch.stack(offsets).mean()
    torch.testing.assert_close(full, expected)


def test_the_majority_overrules_a_single_salient_voxel():
    # The second source is stronger at one isolated voxel only in the first half: with 3 x 3 maxima its saliency covers
    # nine voxels, of which the center alone has a majority.
    x = torch.zeros(1, 2, 9, 9)
    x[0, 0] = 0.5
    x[0, 1, 4, 4] = 0.9
    chosen = rules.most_salient(x, (2, 3))[0, 0]
    assert chosen[4, 4] == 0.9
    assert chosen[2, 2] == 0.5
    assert (chosen == 0).sum() == 8 - 4  # the four edge neighbors hold the majority, the four corners do not


@pytest.mark.parametrize("count", [2, 3, 5])
def test_ties_go_to_the_first_source(count):
    x = torch.ones(1, count, 4, 4) * torch.tensor([1.0, -1.0] * 3)[:count].reshape(1, -1, 1, 1)
    assert (rules.strongest(x) == 1).all()
    assert (rules.most_salient(x, (2, 3)) == 1).all()
    assert (rules.largest(x.abs()) == 0).all()


def test_two_sources_and_a_blank_third_are_joined_as_two():
    x = random((12, 13))
    third = torch.cat([x, torch.zeros_like(x[:, :1])], 1)
    for rule in (
        lambda y: rules.most_salient(y, (2, 3)),
        rules.strongest,
        lambda y: rules.low_pass(y, "energy", (2, 3)),
    ):
        torch.testing.assert_close(rule(third), rule(x))


def test_the_low_pass_rules():
    x = torch.tensor([[0.2, 0.6]]).reshape(1, 2, 1, 1).expand(1, 2, 3, 3)
    assert rules.low_pass(x, "mean", (2, 3)).unique().item() == pytest.approx(0.4)
    assert rules.low_pass(x, "maximum", (2, 3)).unique().item() == pytest.approx(0.6)
    # Energies 1 : 9, squared 1 : 81, with either sign.
    expected = (0.2 + 81 * 0.6) / 82
    assert rules.low_pass(x, "energy", (2, 3)).unique().item() == pytest.approx(expected)
    assert rules.low_pass(-x, "energy", (2, 3)).unique().item() == pytest.approx(-expected)
