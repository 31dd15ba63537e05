"""DenseFuse as an auto-encoder of single slices: mean squared error and SSIM, as in the paper with lambda = 1.

medfusion train densefuse --data DIR
"""

from __future__ import annotations

from torch import Tensor, nn

from MedFusionLib.networks.densefuse import Config, DenseFuse
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.losses import squared, ssim
from MedFusionLib.training.recipe import Recipe


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    """Of (B, K, H, W): each source is an image of its own."""
    images = batch.flatten(0, 1)[:, None]
    rebuilt = network(images)
    return (10 * squared(rebuilt, images) + 1 - ssim(rebuilt, images)).mean()


RECIPE = Recipe(
    name="densefuse",
    title="DenseFuse",
    what="Auto-encoder with a dense block of the paper's sizes, of single gray slices",
    build=DenseFuse,
    config=Config(),
    loss=loss,
    use="features of `densefuse`",
    limits="trained on brain slices of 256 x 256; not for diagnosis",
    golden=lambda network, sources: network(sources[:, :1]),
    batch=8,
    schedule=Schedule(steps=1200, rate=1e-3),
)
