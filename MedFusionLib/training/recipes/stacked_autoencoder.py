"""The stacked auto-encoder: units that split an image, each trained to rebuild what it got, all at once.

    medfusion train stacked_autoencoder --data DIR

The paper trains one unit after the other; every unit has its own loss here, on a detached input, which is the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from MedFusionLib.networks.stacked_autoencoder import Config, StackedAutoencoder
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.patches import blurred
from MedFusionLib.training.recipe import Recipe


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    """Of (B, K, H, W): each unit rebuilds its input, its low map is smooth, its high map sparse; and all together."""
    images = batch.flatten(0, 1)[:, None]
    total, given = torch.zeros((), device=batch.device), images
    for unit in network.units:  # type: ignore[union-attr]
        high, low = unit.decompose(given)
        rebuilt = unit.rebuild(high, low)
        total = total + (rebuilt - given).square().mean() + 1e-3 * high.abs().mean()
        total = total + 0.1 * (low - _smooth(given)).square().mean()
        given = low.detach()
    return total + (network(images) - images).square().mean()


def _smooth(images: Tensor) -> Tensor:
    """(N, 1, H, W) under a Gaussian of 2 pixels."""
    return blurred(images, 2.0)


RECIPE = Recipe(
    name="stacked_autoencoder",
    title="Stacked convolutional auto-encoder",
    what="Three units that split an image into a high and a low map",
    build=StackedAutoencoder,
    config=Config(),
    loss=loss,
    schedule=Schedule(steps=2000, rate=2e-3),
    use="the maps of `stacked_autoencoder`",
    limits="trained on brain slices of 256 x 256; not for diagnosis",
    golden=lambda network, sources: network(sources[:, :1]),
    batch=8,
)
