"""IFCNN: slices are to be found again in two copies, each spoiled in another part.

    medfusion train ifcnn --data DIR

The paper blurs natural images by their depth. Here random masks, hard to soft, say where a copy is spoiled; half of the
copies are blurred there and half dimmed, since one modality shows bright what another shows black, which blur does not
teach. Features are compared as in the paper's second stage.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from MedFusionLib.networks.ifcnn import IFCNN, Config
from MedFusionLib.training.features import Features
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.losses import perceptual, squared, ssim
from MedFusionLib.training.patches import blurred
from MedFusionLib.training.recipe import Recipe

_COARSE = 5
"""Random numbers a side of a patch that a mask is made of."""

_PERCEPTUAL = 0.05


def spoiled(patches: Tensor, generator: torch.Generator) -> Tensor:
    """(B, K, H, W) -> (B, 3, H, W): two copies of the first source, each whole where the other is not, and itself."""
    image = patches[:, :1]
    count, _, height, width = image.shape
    noise = torch.randn((count, 1, _COARSE, _COARSE), generator=generator)
    sharpness = 3 + 17 * torch.rand((count, 1, 1, 1), generator=generator)
    mask = (sharpness * functional.interpolate(noise, (height, width), mode="bicubic", align_corners=True)).sigmoid()
    widths, rest = torch.rand(count, generator=generator) * 2.5 + 0.5, torch.rand(count, generator=generator)
    soft = torch.cat([blurred(each[None], float(sigma)) for each, sigma in zip(image, widths, strict=True)])
    dimmed = torch.rand(count, generator=generator) < 0.5
    worse = torch.where(dimmed[:, None, None, None], image * rest[:, None, None, None], soft)
    return torch.cat([mask * image + (1 - mask) * worse, (1 - mask) * image + mask * worse, image], 1)


def loss(network: nn.Module, batch: Tensor, features: Features) -> Tensor:
    """Of what `spoiled` made."""
    fused, sharp = network(batch[:, :2]), batch[:, 2:]
    alike = 20 * squared(fused, sharp) + 0.5 * (1 - ssim(fused, sharp))
    return (alike + _PERCEPTUAL * perceptual(features, fused, sharp)).mean()


RECIPE = Recipe(
    name="ifcnn",
    title="IFCNN",
    what="The paper's network for gray images, its first layer a fixed bank of Gabor filters",
    build=IFCNN,
    config=Config(),
    loss=loss,
    use="`ifcnn`",
    limits="trained to join whole parts of spoiled brain slices of 256 x 256; not for diagnosis",
    golden=lambda network, sources: network(sources),
    batch=8,
    compares_features=True,
    schedule=Schedule(steps=3000, rate=2e-3),
    prepare=spoiled,
)
