"""Metrics of windows' probabilities and of what an eye sees: cases that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from MedFusionLib.metrics import q_p
from MedFusionLib.metrics._phase import _filters, congruency
from MedFusionLib.registry import find_metric


def image(array):
    return torch.as_tensor(np.asarray(array), dtype=torch.float64)[None, None]


def window(*places):
    """A 3 x 3 image that is bright at these places, counted down the columns from 1."""
    levels = np.zeros(9)
    levels[np.array(places) - 1] = 1
    return image(levels.reshape(3, 3).T)


def texture(*size, seed=0):
    return image(np.random.default_rng(seed).random(size))


@pytest.mark.parametrize(("places", "share"), [((2, 3), 5 / 14), ((8, 9), 2 / 7)])
def test_fmi_of_two_bright_voxels_by_hand(places, share):
    """Two places each, half the probability at either: the bounds couple them wholly, levels correlate by `share`."""
    expected = sum((1 + sign * share) * math.log2(1 + sign * share) for sign in (1, -1)) / 2
    assert float(find_metric("fmi")(window(1, 2), window(*places))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("places", "closest"), [((1, 8, 9), 26 / 38), ((3, 4, 8), 17 / math.sqrt(14 * 38))])
def test_fmi_reads_windows_column_by_column(places, closest):
    """Levels that correlate by 1/2 or -1/2, of places that can correlate by `closest` at most with 1, 2 and 9.

    Row by row, or in the other direction, they could correlate by another number.
    """
    share = (1 / 2) / closest
    cells = [share / 3 + (1 - share) / 9] * 3 + [(1 - share) / 9] * 6
    expected = 2 + sum(p * math.log(p) for p in cells) / math.log(3)
    assert float(find_metric("fmi")(window(1, 2, 9), window(*places))) == pytest.approx(expected, abs=1e-12)


def test_fmi_counts_flat_windows_as_it_is_told():
    fused, source = texture(3, 6), texture(3, 6, seed=1)
    fused[..., :4], source[..., :4] = 0.25, 0.5
    metric = find_metric("fmi")
    (value,), (weight,) = metric.values(fused, source)
    (published,), (every,) = metric.values(fused, source, flat="one")
    assert (float(weight), float(every)) == (2, 4)
    assert float(published) == pytest.approx((2 * float(value) + 2) / 4)


def test_fmi_is_none_between_a_flat_window_and_another():
    assert float(find_metric("fmi")(texture(8, 8), torch.ones(1, 1, 8, 8).double())) == 0


@pytest.mark.parametrize(("csf", "constant"), [("code", 0.144), ("mannos", 0.114)])
def test_qcv_of_a_wave_is_its_power_after_the_eye(csf, constant):
    """Four waves in 4 degrees are 1 cycle a degree; a wave a block, so that every block has the same power."""
    source = texture(64, 64)
    wave = 0.1 * torch.cos(2 * math.pi * torch.arange(64).double() / 16).expand(64, 64)
    gain = 2.6 * (0.0192 + constant) * math.exp(-(constant**1.1))
    found = float(find_metric("q_cv")(source + wave, source, csf=csf))
    assert found == pytest.approx((gain * 25.5) ** 2 / 2)


def test_qcv_sees_only_the_blocks_of_strong_edges():
    source = texture(32, 32) * 0.1
    source[..., :16, :16] *= 10
    weak, strong = source.clone(), source.clone()
    weak[..., 20:28, 20:28] += 0.2
    strong[..., 4:12, 4:12] += 0.2
    score = find_metric("q_cv")
    assert float(score(weak, source)) < 0.1 * float(score(strong, source))


def test_qcb_does_not_see_darkness_but_blur():
    source = texture(64, 64)
    blurred = torch.nn.functional.avg_pool2d(source, 5, 1, 2)
    score = find_metric("q_cb")
    assert float(score(0.3 * source, source)) == pytest.approx(1)
    assert float(score(blurred, source)) < 0.95


def test_qcb_gradients_are_not_drowned_by_black():
    """On black, contrast is a ratio of ripples of 1e-9: its derivative would be as large as they are small."""
    source = torch.nn.functional.pad(texture(48, 48), [104] * 4)
    fused = (0.8 * source).requires_grad_()
    find_metric("q_cb")(fused + 0.1 * source.roll(1, 3), source).backward()
    inside, outside = fused.grad[..., 104:152, 104:152].abs().max(), fused.grad[..., :60, :].abs().max()
    assert outside < inside


def test_phase_congruency_marks_a_step_whatever_its_contrast():
    step = torch.zeros(1, 64, 64).double()
    step[..., 32:] = 10
    pc, most, _ = (x[0] for x in congruency(step))
    assert pc[32, 31:33].min() > 0.5
    assert pc[32, 12:20].max() < 0.1
    assert most[32, 31:33].min() > 5 * most[32, 12:20].max()
    torch.testing.assert_close(congruency(10 * step + 50)[0, 0], pc, atol=1e-3, rtol=0)


def test_the_noise_of_a_filter_bank_is_that_of_its_kernels():
    """Kovesi sums kernels in space; by Parseval's theorem we do in frequency."""
    radial, angular, noise = _filters(24, 30, torch.float64, torch.device("cpu"))
    kernels = torch.fft.ifft2(radial * angular[2]).real * math.sqrt(24 * 30)
    assert float(noise[2]) == pytest.approx(
        float(kernels.sum(0).square().sum() / (radial[0] * angular[2]).square().sum())
    )


def test_filters_made_in_inference_mode_can_be_learned_with():
    _filters.cache_clear()
    fused, source = texture(20, 22), texture(20, 22, seed=1)
    with torch.inference_mode():
        find_metric("q_p")(fused, source)
    fused.requires_grad_()
    find_metric("q_p")(fused, source).backward()
    assert fused.grad.abs().sum() > 0


def test_qp_scores_a_few_images_at_a_time_as_all_of_them(monkeypatch):
    fused, source = (torch.cat([texture(20, 22, seed=seed + n) for n in range(3)]) for seed in (0, 9))
    mask = texture(20, 22, seed=5).repeat(3, 1, 1, 1) > 0.2
    together = find_metric("q_p")(fused, source, mask)
    monkeypatch.setattr(q_p, "_AT_ONCE", 2 * 20 * 22)
    torch.testing.assert_close(find_metric("q_p")(fused, source, mask), together)


def test_qp_asks_a_source_only_where_it_has_features():
    source, other = texture(32, 32), torch.full((1, 1, 32, 32), 0.5).double()
    alone, both = (float(find_metric("q_p")(source, s)) for s in (source, torch.cat([source, other], 1)))
    assert both == pytest.approx(alone)
