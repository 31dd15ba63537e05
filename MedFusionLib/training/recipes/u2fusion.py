"""U2Fusion on pairs of modalities: SSIM and squared error with each source, weighed by how much it shows.

medfusion train u2fusion --data DIR
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from MedFusionLib.networks.u2fusion import Config, U2Fusion
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.losses import squared, ssim, surround
from MedFusionLib.training.recipe import Recipe

_LEVELS = 5

_SHARPNESS = 50.0
"""Of the softmax over degrees: their difference varies by about 1 / this over the training patches."""


def degrees(sources: Tensor) -> Tensor:
    """(B, K) how much each source has to tell, summing to 1: squared gradients over a Gaussian pyramid.

    The paper takes gradients of features of a network trained on ImageNet; these need none.
    """
    degree, images = torch.zeros(sources.shape[:2], device=sources.device), sources
    for level in range(_LEVELS):
        degree = degree + surround(images).square().mean((2, 3)) * 4**level
        images = functional.avg_pool2d(images, 2)
    return (degree * _SHARPNESS / _LEVELS).softmax(1)


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    """Of (B, 2, H, W)."""
    fused, weights = network(batch), degrees(batch)
    return (weights * (1 - ssim(fused, batch) + 20 * squared(fused, batch))).sum(1).mean()


RECIPE = Recipe(
    name="u2fusion",
    title="U2Fusion",
    what="Dense network for two sources; half the paper's width",
    build=U2Fusion,
    config=Config(width=24, decoder=(64, 32, 16)),
    loss=loss,
    use="`u2fusion`",
    limits="trained on brain slices of 256 x 256 (CT, PET and SPECT with MR); not for diagnosis",
    golden=lambda network, sources: network(sources),
    batch=8,
    sources=2,
    schedule=Schedule(steps=1200, rate=5e-4),
    # The papers' 80,000 belongs to their losses; here it lets the first task's grow by a fifth (docs/experiments.md).
    consolidation=8e6,
)
