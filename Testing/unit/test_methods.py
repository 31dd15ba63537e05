"""Each method does what its paper says, on cases small enough to work out by hand."""

from __future__ import annotations

import pytest
import torch

from MedFusionLib.methods.average import average
from MedFusionLib.methods.dwt import dwt
from MedFusionLib.methods.guided import guided
from MedFusionLib.methods.laplacian import laplacian
from MedFusionLib.methods.maximum import maximum
from MedFusionLib.methods.pca import pca
from MedFusionLib.methods.two_scale import two_scale
from MedFusionLib.methods.weighted import weighted


def sources(*values):
    """One voxel a source."""
    return torch.tensor(values).reshape(1, -1, 1, 1)


def halves_in_focus(size=64):
    """A noise image and its two copies, each blurred on one side: the classic test of detail selection."""
    sharp = torch.rand((1, 1, size, size), generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(sharp, 7, 1, 3, count_include_pad=False)
    left = (torch.arange(size) < size // 2).expand(size, size)
    return sharp, torch.cat([torch.where(left, sharp, blurred), torch.where(left, blurred, sharp)], 1)


def test_average_maximum_and_blend_by_hand():
    x = sources(0.1, 0.5, 0.9)
    assert average(x).item() == pytest.approx(0.5)
    assert maximum(x).item() == pytest.approx(0.9)
    assert weighted(x, weight=0.0).item() == pytest.approx(0.1)
    assert weighted(x, weight=1.0).item() == pytest.approx(0.7)
    assert weighted(x, weight=0.25).item() == pytest.approx(0.75 * 0.1 + 0.25 * 0.7)
    assert weighted(sources(0.2, 0.6), weight=0.25).item() == pytest.approx(0.3)


def test_pca_weights_follow_the_variance():
    # Two sources that vary together, one three times as much: the first component is (1, 3) / norm, weights 1/4, 3/4.
    t = torch.rand((1, 1, 9, 9), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pca(torch.cat([t, 3 * t], 1)), 0.25 * t + 0.75 * 3 * t)


def test_pca_of_flat_images_is_their_mean():
    assert pca(sources(0.2, 0.6).expand(1, 2, 4, 4)).unique().item() == pytest.approx(0.4)


def test_pca_takes_the_moments_of_the_volume_for_every_slice():
    t = torch.rand((3, 2, 9, 9), generator=torch.Generator().manual_seed(0))
    fused = pca(t, moments=torch.tensor([[1.0, 0.0], [0.0, 9.0]], dtype=torch.float64))
    torch.testing.assert_close(fused, t[:, 1:])  # independent sources: all weight on the one that varies more


@pytest.mark.parametrize("method", [laplacian, dwt, guided, two_scale])
def test_detail_comes_from_the_source_that_has_it(method):
    sharp, blurred = halves_in_focus()
    away_from_seam = torch.ones(64, dtype=torch.bool)
    away_from_seam[24:40] = False
    error = (method(blurred) - sharp)[..., away_from_seam].square().mean().sqrt()
    either = (blurred - sharp)[..., away_from_seam].square().mean().sqrt()
    assert error < 0.35 * either


def test_bone_of_one_and_tissue_of_the_other_are_both_kept():
    # A bright shell in the first source, texture inside in the second: what CT and MR of a head are.
    shell = torch.zeros(1, 1, 64, 64)
    shell[..., 8:56, 8:56] = 0.3
    shell[..., 8:12, 8:56] = 1.0
    texture = torch.zeros(1, 1, 64, 64)
    texture[..., 16:52, 16:52] = 0.4 + 0.4 * torch.rand((36, 36), generator=torch.Generator().manual_seed(0))
    fused = laplacian(torch.cat([shell, texture], 1))
    assert fused[..., 9:11, 20:44].mean() > 0.85
    inside, wanted = fused[..., 24:44, 24:44].flatten(), texture[..., 24:44, 24:44].flatten()
    assert torch.corrcoef(torch.stack([inside, wanted]))[0, 1] > 0.95


def test_guided_weights_are_the_decision_itself_when_the_filter_does_not_smooth():
    # With the smallest eps the detail weights follow the source's edges; flat parts give the winner everything.
    x = torch.zeros(1, 2, 40, 40)
    x[:, 0, :, :20] = (torch.arange(20) % 2).float()
    fused = guided(x)
    torch.testing.assert_close(fused[..., :8], x[:, :1, :, :8], atol=0.05, rtol=0)
