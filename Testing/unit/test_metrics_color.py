"""Color metrics: published color pairs, another implementation, and what happens at gray."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from MedFusionLib.errors import DataError
from MedFusionLib.metrics import _cielab
from MedFusionLib.metrics._cielab import chroma, ciede2000, lab
from MedFusionLib.registry import find_metric

# Sharma, Wu, Dalal 2005, Table 1: L a b, L a b, difference. Those where hue, mean hue and rotation change branch.
PAIRS = [
    (50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425),
    (50, 0, 0, 50, -1, 2, 2.3669),
    (50, 2.49, -0.001, 50, -2.49, 0.0009, 7.1792),
    (50, 2.49, -0.001, 50, -2.49, 0.0011, 7.2195),
    (50, -0.001, 2.49, 50, 0.0009, -2.49, 4.8045),
    (50, -0.001, 2.49, 50, 0.0011, -2.49, 4.7461),
    (50, 2.5, 0, 73, 25, -18, 27.1492),
    (50, 2.5, 0, 56, -27, -3, 31.9030),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]


def colors(array):
    """(N, 3) to (1, 3, N)."""
    return torch.from_numpy(np.array(array, dtype=np.float64).T[None].copy())


def filled(*rgb):
    """A 4 x 4 image of one color."""
    return torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1).repeat(1, 1, 4, 4)


def scored(name, fused_rgb, source_rgb, mask=None):
    gray = torch.zeros_like(fused_rgb[:, :1])
    return float(find_metric(name)(gray, gray, mask, fused_rgb=fused_rgb, source_rgb=source_rgb))


def test_color_differences_are_the_published_ones():
    pairs = np.array(PAIRS)
    first, second = colors(pairs[:, :3]), colors(pairs[:, 3:6])
    for found in (ciede2000(first, second), ciede2000(second, first)):
        np.testing.assert_allclose(found[0, 0], pairs[:, 6], atol=5e-5)


def test_colors_are_those_of_scikit_image():
    reference = pytest.importorskip("skimage.color", reason="scikit-image is the oracle of this test")
    rgb = np.random.default_rng(0).random((500, 3))
    # It divides by a white whose sixth digit is not its matrix's own, and rounds 7.787037.
    own_white = reference.rgb2xyz(np.ones((1, 3)))
    expected = reference.xyz2lab(reference.rgb2xyz(rgb) / own_white * (0.95047, 1.0, 1.08883))
    found = lab(colors(rgb))[0].numpy().T
    np.testing.assert_allclose(found, expected, atol=5e-4)
    difference = ciede2000(colors(found[:250]), colors(found[250:]))[0, 0]
    np.testing.assert_allclose(difference, reference.deltaE_ciede2000(found[:250], found[250:]), atol=1e-9)


def test_grays_have_no_chroma():
    gray = torch.linspace(0, 1, 256).double().expand(1, 3, -1)
    assert chroma(lab(gray)).max() < 1e-12


def test_white_differs_from_black_by_its_lightness():
    """CIEDE2000 divides 100 by 1 at a mean lightness of 50."""
    assert scored("delta_e", filled(1, 1, 1), filled(0, 0, 0)) == pytest.approx(100)


def test_color_counts_only_in_the_mask():
    source, fused = filled(0.8, 0.3, 0.1), filled(0.8, 0.3, 0.1)
    fused[..., 0, 0] = 0
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    mask[..., 0, 0] = False
    assert scored("delta_e", fused, source, mask) == 0
    assert scored("delta_e", fused, source) > 1


def test_hue_turns_but_not_with_lightness():
    """A darker red has nearly the hue of a light one; red and green are about 96 degrees apart in CIELAB."""
    red, green = filled(1, 0, 0), filled(0, 1, 0)
    apart = 136.016 - 39.999
    assert scored("hue_shift", filled(0.5, 0, 0), red) < 5
    assert scored("hue_shift", green, red) == pytest.approx(apart, abs=0.02)


def test_hue_weighs_by_the_color_of_the_source():
    """One voxel of four is strongly colored; the others are nearly gray and turned."""
    source, fused = filled(0.5, 0.49, 0.49), filled(0.49, 0.5, 0.49)
    source[..., :1] = fused[..., :1] = filled(1, 0, 0)[..., :1]
    assert scored("hue_shift", fused, source) < 0.1 * scored("hue_shift", fused[..., 1:], source[..., 1:])


def test_hue_is_lost_in_gray_and_undefined_without_any():
    """All grays, for of a fifth of them rounding leaves a chroma of 1e-14."""
    gray = torch.linspace(0, 1, 256).double().expand(1, 3, 1, -1)
    red = torch.zeros_like(gray)
    red[:, 0] = 1
    assert scored("hue_shift", gray, red) == pytest.approx(90)
    assert math.isnan(scored("hue_shift", red, gray))


@pytest.mark.parametrize("name", ["delta_e", "hue_shift"])
def test_colors_are_compared_piece_by_piece_without_a_gap(name, monkeypatch):
    fused, source = torch.rand(2, 1, 3, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = source[:, :1] > 0.3
    whole = scored(name, fused, source, mask)
    monkeypatch.setattr(_cielab, "_AT_ONCE", 10)
    assert scored(name, fused, source, mask) == pytest.approx(whole)


@pytest.mark.parametrize("name", ["delta_e", "hue_shift"])
def test_colors_of_another_size_or_range_are_refused(name):
    red = filled(1, 0, 0)
    with pytest.raises(DataError, match=r"\(1, 3, 4, 4\)"):
        scored(name, red, red[:, :2])
    with pytest.raises(DataError, match="outside"):
        scored(name, red, 255 * red)


@pytest.mark.parametrize("name", ["delta_e", "hue_shift"])
def test_color_gradients_stay_finite_at_black_gray_and_no_difference(name):
    source = torch.cat([filled(0, 0, 0), filled(0.5, 0.5, 0.5), filled(1, 0, 0), filled(1, 0, 0)], 3)
    fused = torch.cat([filled(0, 0, 0), filled(1, 0, 0), filled(0.5, 0.5, 0.5), filled(1, 0, 0)], 3).requires_grad_()
    gray = torch.zeros_like(source[:, :1])
    find_metric(name)(gray, gray, fused_rgb=fused, source_rgb=source).sum().backward()
    assert torch.isfinite(fused.grad).all()
