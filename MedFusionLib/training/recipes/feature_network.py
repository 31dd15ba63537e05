"""The feature network learns three things at once from single slices: modality, quarter turns, and to take noise away.

medfusion train feature_network --data DIR
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from MedFusionLib.networks.feature_network import QUARTERS, Config, FeatureNetwork
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.patches import Augmentation
from MedFusionLib.training.recipe import Recipe
from MedFusionLib.volume import MODALITIES

_NOISE = 0.1
"""Largest standard deviation of what is to be taken away."""

_CLEAN = 10.0
"""Weight of the squared error beside the two classifications."""


def modalities(image: Tensor, names: Sequence[str]) -> Tensor:
    """(K, H, W) -> (K, H, W): the number of each source's modality, everywhere."""
    numbers = torch.tensor([MODALITIES.index(name) for name in names], dtype=image.dtype)
    return numbers[:, None, None].expand_as(image)


def questions(patches: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 2 K, H, H), sources and modalities -> (B K, 4, H, H): turned and noisy, turned, modality, turn."""
    sources, names = (half.flatten(0, 1) for half in patches.chunk(2, 1))
    turns = torch.randint(QUARTERS, (len(sources),), generator=generator)
    turned = torch.stack([image.rot90(int(turn)) for image, turn in zip(sources, turns, strict=True)])
    strength = _NOISE * torch.rand((len(sources), 1, 1), generator=generator)
    noisy = (turned + strength * torch.randn(turned.shape, generator=generator)).clamp(0, 1)
    return torch.stack([noisy, turned, names, turns[:, None, None].expand_as(turned)], 1)


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    """Of what `questions` asks."""
    noisy, clean, names, turns = batch.unbind(1)
    modality, turn, found = network.told(noisy[:, None])  # type: ignore[operator]
    classified = functional.cross_entropy(modality, names[:, 0, 0].round().long())
    upright = functional.cross_entropy(turn, turns[:, 0, 0].long())
    return classified + upright + _CLEAN * functional.mse_loss(found[:, 0], clean)


RECIPE = Recipe(
    name="feature_network",
    title="Feature network",
    what="Five stages as in VGG, trained on single slices to tell modality, quarter turns and noise",
    build=FeatureNetwork,
    config=Config(),
    loss=loss,
    use="losses that compare features; no method runs it",
    limits="trained on brain slices of 256 x 256; for losses only",
    golden=lambda network, sources: network(sources[:, :1])[-1],
    answer=modalities,
    patch=128,
    batch=8,
    # The turns are to be found, so none may be made on the way.
    augmentation=Augmentation(degrees=0.0, scale=1.0, noise=0.0, swap=False),
    prepare=questions,
    schedule=Schedule(steps=2000, rate=1e-3),
)
