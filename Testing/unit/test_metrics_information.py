"""Entropies, statistics and edge shares of images small enough to work out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from MedFusionLib.registry import find_metric

Q = 0.43137
LEFT = [[0, 0, 255, 255]] * 4
TOP = [[0] * 4] * 2 + [[255] * 4] * 2
FLAT = [[100] * 4] * 4


def stacked(*images) -> Tensor:
    """(1, K, *S) in [0, 1] of images in gray levels."""
    return torch.stack([torch.as_tensor(image, dtype=torch.float64) for image in images])[None] / 255


def score(name: str, fused, *sources, mask=None, **options) -> float:
    mask = None if mask is None else torch.as_tensor(mask, dtype=torch.bool)[None, None]
    return float(find_metric(name)(stacked(fused), stacked(*(sources or (fused,))), mask, **options))


def noise(*size: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, size, generator=torch.Generator().manual_seed(seed)).double()


def ramp(slope: float, *size: int) -> Tensor:
    """Rises along the last axis."""
    return (slope * torch.arange(size[-1])).double().expand(size)


def test_entropy_counts_levels_rounded_half_up():
    assert score("en", LEFT) == 1
    assert score("en", [[0.4, 0.4, 0.5, 0.6]] * 2) == 1
    assert score("en", torch.arange(64).reshape(8, 8)) == pytest.approx(6)


def test_mutual_information_of_halves():
    assert score("mi", LEFT, LEFT, TOP) == pytest.approx(1)
    assert score("mi", LEFT, LEFT, LEFT, LEFT, base="nats") == pytest.approx(3 * math.log(2))
    assert score("nmi", LEFT, LEFT, TOP) == pytest.approx(1)


def test_mutual_information_is_that_of_others():
    others = pytest.importorskip("sklearn.metrics")
    a, f = noise(60, 50), (noise(60, 50) + noise(60, 50, seed=1)) / 2
    expected = others.mutual_info_score(a.flatten().numpy(), (f + 0.5).floor().flatten().numpy())
    assert score("mi", f, a, base="nats") == pytest.approx(expected, rel=1e-9)


def test_small_mask_is_counted_in_64_bins():
    fine = [[0, 1, 2, 3]] * 4
    everywhere = [[True] * 4] * 4
    assert score("mi", fine, fine) == pytest.approx(2)
    assert score("mi", fine, fine, mask=everywhere) == 0
    assert score("en", fine, mask=everywhere) == 2


def test_large_mask_is_counted_in_256_bins():
    fine = torch.arange(200 * 200).reshape(200, 200) % 4
    assert score("mi", fine, fine, mask=torch.ones(200, 200)) == pytest.approx(2)


def test_what_is_outside_the_mask_is_not_counted():
    mask = [[True, True, False, False]] * 4
    assert score("en", LEFT, mask=mask) == 0
    assert score("mi", TOP, LEFT, mask=mask) == 0
    assert score("mi", TOP, TOP, mask=mask) == pytest.approx(1)
    assert score("sd", LEFT, mask=mask) == 0


def test_constant_image_and_constant_source_share_nothing():
    assert score("nmi", FLAT, LEFT, TOP) == 0
    assert score("nmi", LEFT, LEFT, FLAT) == pytest.approx(1)
    assert math.isnan(score("nmi", FLAT, FLAT, FLAT))


def test_correlation_information_entropy_by_its_eigenvalues():
    shares = [(1 + 2 / 8) / 3, (1 - 1 / 8) / 3, (1 - 1 / 8) / 3]
    expected = 1 + sum(share * math.log(share, 256) for share in shares)
    assert score("ncie", LEFT, LEFT, LEFT) == pytest.approx(expected)
    assert score("ncie", FLAT, LEFT, TOP) == pytest.approx(1 - math.log(3, 256))


def test_tsallis_information_of_halves():
    one = (1 - 2 ** (Q - 1)) / (1 - Q)
    assert score("te", LEFT, LEFT, LEFT) == pytest.approx(2 * one / (2 + one))
    assert score("te", LEFT, LEFT, TOP) == pytest.approx(one / 2)


def test_cross_entropy_leaves_out_levels_that_one_image_lacks():
    source, fused = [[0, 0, 5, 9]], [[0, 9, 7, 7]]
    assert score("ce", fused, source) == pytest.approx(0.5)


def test_contrast_and_differences_by_hand():
    assert score("sd", LEFT) == pytest.approx(127.5)
    assert score("sf", [[0, 3], [4, 5]]) == pytest.approx(math.sqrt((9 + 1) / 2 + (16 + 4) / 2))
    assert score("df", [[0, 3, 9], [4, 9, 9]]) == pytest.approx((math.sqrt(12.5) + math.sqrt(36)) / 2)
    assert score("ag", [[0, 2, 8], [0, 2, 8]]) == pytest.approx((2 + 4 + 6) / 3 / math.sqrt(2))
    assert score("ei", ramp(1, 5, 8)) == pytest.approx(8 * 7 / 8)


def test_differences_are_by_the_voxel_size():
    rising = ramp(6, 4, 5, 6)
    thick = {"spacing": (1.0, 1.0, 2.0)}
    assert score("sf", rising, **thick) == pytest.approx(3)
    assert score("ag", rising) == pytest.approx(6 / math.sqrt(3))
    assert score("df", rising, **thick) == pytest.approx(3 / math.sqrt(2.25))
    assert score("ag", rising, **thick) == pytest.approx(3 / math.sqrt(2.25))
    assert score("ei", rising, **thick) == pytest.approx(8 * 3 * 5 / 6)


@pytest.mark.parametrize("name", ["sf", "ag", "ei", "df", "q_sf"])
def test_a_stack_of_one_slice_scores_as_the_slice(name):
    f, a, b = (noise(12, 10, seed=seed) for seed in range(3))
    volume = [x.expand(5, 12, 10) for x in (f, a, b)]
    assert score(name, *volume, spacing=(1e9, 1.0, 1.0)) == pytest.approx(score(name, f, a, b))


@pytest.mark.parametrize("name", ["sf", "df", "q_sf"])
def test_a_step_at_the_border_of_the_mask_is_not_seen(name):
    image, mask = noise(8, 8), torch.zeros(8, 8)
    mask[2:7, 1:6] = 1
    outside = torch.where(mask > 0, image, 255 - image)
    a = noise(8, 8, seed=1)
    assert score(name, image, a, mask=mask) == pytest.approx(score(name, outside, a, mask=mask))


def test_no_neighbors_in_the_mask_is_no_spatial_frequency():
    lone = torch.eye(4)
    assert math.isnan(score("sf", noise(4, 4), mask=lone))
    assert math.isnan(score("df", noise(4, 4), mask=lone))


def test_correlation_leaves_out_a_constant_source():
    assert score("cc", LEFT, LEFT, FLAT) == pytest.approx(1)
    assert score("cc", TOP, LEFT, TOP) == pytest.approx(0.5)
    assert score("cc", LEFT, 255 - torch.tensor(LEFT)) == pytest.approx(-1)
    assert score("cc", FLAT, LEFT, TOP) == 0
    assert math.isnan(score("cc", LEFT, FLAT))


def test_correlations_of_differences():
    a, b, c = (noise(9, 9, seed=seed) / 3 for seed in range(3))
    r = float(torch.corrcoef(torch.stack([a.flatten(), (a - b).flatten()]))[0, 1])
    assert score("scd", a + b, a, b) == pytest.approx(2)
    assert score("scd", a + b + c, a, b, c) == pytest.approx(3)
    assert score("scd", a, a, b) == pytest.approx(r), "the zero difference adds nothing"
    assert math.isnan(score("scd", a, a, a))


def test_errors_are_averaged_over_sources_before_root_and_logarithm():
    fused, near, far = [[10, 10]], [[12, 12]], [[6, 6]]
    assert score("mse", fused, near, far) == pytest.approx(10)
    assert score("rmse", fused, near, far) == pytest.approx(math.sqrt(10))
    assert score("psnr", fused, near, far) == pytest.approx(10 * math.log10(65025 / 10))
    assert score("psnr", fused, fused) == math.inf


def test_frequency_ratio_is_to_the_sharpest_source_in_four_directions():
    a, b = [[0, 4], [0, 4]], [[0, 0], [0, 6]]
    half = math.sqrt(0.5)
    # Along rows 4, 6; along columns 0, 6; along the diagonals 6, 4.
    sharpest = 16 + 36 + 0 + 36 + half * (36 + 16)
    found = 2 * 16 + half * (16 + 16)
    assert score("q_sf", a, a, b) == pytest.approx(math.sqrt(found / sharpest) - 1)
    assert score("q_sf", FLAT, LEFT, TOP) == -1
    assert score("q_sf", noise(4, 4), FLAT, ramp(5, 4, 4)) > 0


def test_wavelet_agreement_of_a_blank_image_by_hand():
    columns = [[0, 51, 153, 204]] * 4
    fine, coarse = (2 + math.exp(-51 / 255)) / 3, (2 + math.exp(-306 / 255)) / 3
    assert score("q_m", FLAT, columns) == pytest.approx(fine ** (2 / 3) * coarse ** (1 / 3))
    assert math.isnan(score("q_m", noise(4, 4), FLAT))


def test_preserved_lost_and_added_edges_sum_to_one():
    f, a, b = (noise(6, 20, 20, seed=seed) for seed in range(3))
    mask = noise(6, 20, 20, seed=3) > 100
    parts = [score(name, f, a, b, mask=mask, spacing=(2.0, 1.0, 1.0)) for name in ("q_petrovic", "labf", "nabf")]
    assert sum(parts) == pytest.approx(1, abs=1e-12)
    assert min(parts) > 0.01


def test_edges_stronger_than_all_sources_are_artifacts():
    weak, strong = ramp(3, 6, 9), ramp(9, 6, 9)
    assert score("nabf", weak, weak, strong) == 0
    # A third of the strength in the same direction; the frame is mirrored, so its columns have no edge to speak of.
    missing = 1 - math.sqrt(0.9999 / (1 + math.exp(19 / 6)) * 0.9995 / (1 + math.exp(-11)))
    assert score("labf", weak, strong) == pytest.approx(missing, rel=1e-4)
    assert score("nabf", strong, weak) == pytest.approx(missing, rel=1e-4)
    assert score("nabf", strong, weak, strong) == 0
    assert score("nabf", strong, strong, weak) == 0


def test_edges_below_two_levels_count_next_to_nothing():
    _, weights = find_metric("q_petrovic").values(stacked(ramp(4, 6, 9)), stacked(ramp(4, 6, 9), ramp(1.9, 6, 9)))
    # No edge in the first and the last column.
    assert weights[0].tolist() == pytest.approx([6 * (7 * 8 + 2 * 0.001), 6 * 9 * 0.001])
