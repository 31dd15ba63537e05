"""Activity measures: hand-computed values around one voxel, silence where nothing changes, agreement with scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MedFusionLib.transforms import activity

R = 0.5**0.5

MEASURES = {
    "modified_laplacian": activity.modified_laplacian,
    "eml": lambda x: activity.modified_laplacian(x, diagonals=True),
    "sum_modified_laplacian": activity.sum_modified_laplacian,
    "weighted_modified_laplacian": activity.weighted_modified_laplacian,
    "wsml_5": lambda x: activity.weighted_modified_laplacian(x, 5),
    "wseml_code": activity.weighted_extended_laplacian,
    "wseml_paper": lambda x: activity.weighted_extended_laplacian(x, "paper"),
    "spatial_frequency": activity.spatial_frequency,
    "msf": lambda x: activity.spatial_frequency(x, diagonals=True),
    "average_gradient": activity.average_gradient,
    "texture_energy": activity.texture_energy,
}


def point(size=5, value=1.0):
    """A single voxel in the middle of nothing."""
    x = torch.zeros(1, 1, size, size, dtype=torch.float64)
    x[0, 0, size // 2, size // 2] = value
    return x


def random(shape=(9, 7), seed=0):
    return torch.rand((2, 3, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_energies_of_a_point():
    assert (activity.local_energy(point(3, 2.0)) == 4).all()
    expected = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64) / 16
    torch.testing.assert_close(activity.weighted_local_energy(point(3, 2.0))[0, 0], 4 * expected)


def test_the_modified_laplacian_of_a_point():
    # At the point 2 + 2; beside it one axis sees -1; with diagonals 2 more at weight 1 / sqrt(2) each way.
    expected = torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(activity.modified_laplacian(point())[0, 0, 1:4, 1:4], expected)
    expected = torch.tensor([[R, 1, R], [1, 4 + 4 * R, 1], [R, 1, R]], dtype=torch.float64)
    torch.testing.assert_close(activity.modified_laplacian(point(), diagonals=True)[0, 0, 1:4, 1:4], expected)


def test_opposite_second_differences_do_not_cancel():
    # A saddle: the Laplacian is zero, the modified one is not.
    axis = torch.arange(5, dtype=torch.float64) - 2
    saddle = (axis[:, None] ** 2 - axis[None] ** 2)[None, None]
    assert activity.modified_laplacian(saddle)[0, 0, 2, 2] == 4


def test_the_sum_modified_laplacian_counts_what_reaches_the_threshold():
    assert activity.sum_modified_laplacian(point())[0, 0, 2, 2] == 8
    assert activity.sum_modified_laplacian(point(), threshold=1)[0, 0, 2, 2] == 8
    assert activity.sum_modified_laplacian(point(), threshold=2)[0, 0, 2, 2] == 4
    assert activity.sum_modified_laplacian(point(), diagonals=True)[0, 0, 2, 2] == pytest.approx(8 + 8 * R)


def test_the_weighted_measures_of_a_point():
    # Binomial weights 4, 2, 1 of 16 on 4 (the point), 1 (its edge neighbors) and 0 (the corners).
    assert activity.weighted_modified_laplacian(point())[0, 0, 2, 2] == pytest.approx((4 * 4 + 4 * 2 * 1) / 16)
    assert activity.weighted_modified_laplacian(point(), 5)[0, 0, 2, 2] == pytest.approx((36 * 4 + 4 * 24 * 1) / 256)
    expected = (4 * (4 + 4 * R) + 4 * 2 * 1 + 4 * 1 * R) / 16
    assert activity.weighted_extended_laplacian(point(), "paper")[0, 0, 2, 2] == pytest.approx(expected)


def test_the_authors_variant_of_wseml_on_a_point():
    # First differences: 4 + 4 R at the point, 1 at its edge neighbors, R at the corners, 0 beyond.
    total = np.zeros((9, 9))
    total[3:6, 3:6] = [[R, 1, R], [1, 4 + 4 * R, 1], [R, 1, R]]
    means = np.zeros((9, 9))
    for row in range(1, 8):
        for column in range(1, 8):
            means[row, column] = total[row - 1 : row + 2, column - 1 : column + 2].mean()
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = (weights * np.sqrt(means[3:6, 3:6])).sum()
    assert activity.weighted_extended_laplacian(point(9))[0, 0, 4, 4] == pytest.approx(expected)


def test_spatial_frequency_of_a_point():
    # Over the 3 x 3 voxels around it: two squared differences along rows, two along columns, four on diagonals.
    assert activity.spatial_frequency(point())[0, 0, 2, 2] == pytest.approx((4 / 9) ** 0.5)
    assert activity.spatial_frequency(point(), diagonals=True)[0, 0, 2, 2] == pytest.approx(((4 + 4 * R) / 9) ** 0.5)


def test_spatial_frequency_of_a_ramp_is_its_slope():
    ramp = torch.arange(7, dtype=torch.float64).expand(1, 1, 7, 7)
    for x in (ramp, ramp.mT):
        assert activity.spatial_frequency(x)[0, 0, 3, 3] == pytest.approx(1)
        assert activity.spatial_frequency(x, diagonals=True)[0, 0, 3, 3] == pytest.approx((1 + 2 * R) ** 0.5)


def test_the_average_gradient_of_a_ramp_is_its_slope_and_diagonals():
    # One gray level a column: along rows 1, along columns 0, both diagonals 1.
    ramp = torch.arange(7, dtype=torch.float64).expand(1, 1, 7, 7)
    assert activity.average_gradient(ramp)[0, 0, 3, 3] == pytest.approx((3 / 4) ** 0.5)


def test_local_similarity_tells_equal_from_inverse_and_unlike():
    x, y = random(seed=1) - 0.5, random(seed=2) - 0.5
    torch.testing.assert_close(activity.local_similarity(x, x), torch.ones_like(x))
    torch.testing.assert_close(activity.local_similarity(x, -x), -torch.ones_like(x))
    assert (activity.local_similarity(x, torch.zeros_like(x)) == 0).all()
    assert (activity.local_similarity(torch.zeros_like(x), torch.zeros_like(x)) == 0).all()
    assert activity.local_similarity(x, y).abs().max() <= 1
    # Twice the contrast: 2 * 2 / (1 + 4).
    torch.testing.assert_close(activity.local_similarity(x, 2 * x), torch.full_like(x, 0.8))


def test_texture_energy_agrees_with_scipy():
    from scipy.ndimage import convolve1d, correlate1d

    x = random((12, 11))[:1, :1]
    taps = {"L": [1, 4, 6, 4, 1], "E": [-1, -2, 0, 2, 1], "S": [-1, 0, 2, 0, -1], "R": [1, -4, 6, -4, 1]}
    total = np.zeros((12, 11))
    for pair, weight in (("LE", 0.5), ("EL", 0.5), ("ES", 0.5), ("SE", 0.5), ("SS", 1), ("RR", 1)):
        rows = correlate1d(x[0, 0].numpy(), taps[pair[0]], 0, mode="reflect")
        total += weight * np.abs(correlate1d(rows, taps[pair[1]], 1, mode="reflect"))
    expected = convolve1d(convolve1d(total, np.ones(7), 0, mode="reflect"), np.ones(7), 1, mode="reflect")
    np.testing.assert_allclose(activity.texture_energy(x)[0, 0].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in MEASURES if n != "texture_energy"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (8, 9)])
def test_nothing_is_active_in_a_constant_image(name, shape):
    # Exactly 0, border included: neurons fire at any stimulus above it. (Texture stimulates none; Laws' taps cancel but
    # for rounding.)
    assert (MEASURES[name](torch.full((1, 2, *shape), 0.7)) == 0).all()


@pytest.mark.parametrize("name", MEASURES)
def test_activity_grows_with_contrast_and_ignores_the_level(name):
    x = random()
    power = 0.5 if name == "wseml_code" else 1.0
    torch.testing.assert_close(MEASURES[name](2 * x), 2**power * MEASURES[name](x))
    torch.testing.assert_close(MEASURES[name](x + 3), MEASURES[name](x), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in MEASURES if n not in ("spatial_frequency", "msf", "average_gradient")])
def test_measures_without_a_preferred_direction_turn_with_the_image(name):
    x = random((8, 8))
    torch.testing.assert_close(MEASURES[name](x.rot90(1, (2, 3))), MEASURES[name](x).rot90(1, (2, 3)))


@pytest.mark.parametrize("name", MEASURES)
def test_gradients_are_finite_where_nothing_changes(name):
    x = torch.zeros(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    MEASURES[name](x).sum().backward()
    assert x.grad.isfinite().all()
