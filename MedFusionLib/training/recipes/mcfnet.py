"""MCFNet on pairs of modalities: the brightest value, the steepest slope, and the structure of the source that has it.

    medfusion train mcfnet --data DIR

The paper does not tell its loss; this one is ours. Sources count in SSIM by their variance around a pixel.
"""

from __future__ import annotations

from torch import Tensor, nn

from MedFusionLib.metrics._windows import gaussian_window, windowed
from MedFusionLib.networks.mcfnet import Config, MCFNet
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.losses import brightest, gradient, ssim_map
from MedFusionLib.training.recipe import Recipe

_LEAST = 1e-4
"""Variance below which no source has any structure: all count the same."""


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    """Of (B, 2, H, W)."""
    fused = network(batch)
    window = gaussian_window(2)
    mean = windowed(batch, window)
    variances = (windowed(batch * batch, window) - mean * mean).clamp(min=0) + _LEAST
    shares = variances / variances.sum(1, keepdim=True)
    structure = (shares * (1 - ssim_map(fused, batch))).sum(1).mean((1, 2))
    return (structure + 10 * brightest(fused, batch) + 10 * gradient(fused, batch)).mean()


RECIPE = Recipe(
    name="mcfnet",
    title="MCFNet",
    what="Residual trunk at a quarter of the size, the sources given back on the way up; a quarter of full width",
    build=MCFNet,
    config=Config(width=16),
    loss=loss,
    use="`mcfnet`",
    limits="trained on brain slices of 256 x 256 (CT, PET and SPECT with MR); not for diagnosis",
    golden=lambda network, sources: network(sources),
    patch=128,
    batch=8,
    sources=2,
    schedule=Schedule(steps=2500, rate=1e-3),
)
