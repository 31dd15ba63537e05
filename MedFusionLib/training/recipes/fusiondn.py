"""FusionDN: SSIM, features and gradients of each source, weighed by how good and how full the source is.

    medfusion train fusiondn --data DIR --then MULTIFOCUS INFRARED

The paper scores sources by a network for the quality of photographs and by entropy. Here quality is entropy and mean
gradient, each in standard deviations over training patches; features are those of the network trained on slices.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from MedFusionLib.networks.fusiondn import Config, FusionDN
from MedFusionLib.training.features import Features
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.losses import perceptual, slopes, ssim, surround
from MedFusionLib.training.recipe import Recipe

_LEVELS = 256

_ENTROPY, _GRADIENT = (5.8, 1.5), (0.035, 0.020)
"""Mean and standard deviation over training patches of the AANLIB slices."""

_PERCEPTUAL = 0.08
"""As much as makes features 5 % of what SSIM is at the beginning; the paper's 4e-5 belongs to VGG's scale."""

_SURROUND = 1800.0


def quality(sources: Tensor) -> Tensor:
    """(B, K) weights of the sources, summing to 1: of their entropy in bits and their mean gradient."""
    steep = slopes(sources).square().sum(2).div(2).sqrt().mean((2, 3))
    scores = (entropy(sources) - _ENTROPY[0]) / _ENTROPY[1] + (steep - _GRADIENT[0]) / _GRADIENT[1]
    return (scores / 2).softmax(1)


def entropy(sources: Tensor) -> Tensor:
    """(B, K) bits of the histogram of 256 levels."""
    levels = (sources.detach().clamp(0, 1) * (_LEVELS - 1)).round().long().flatten(0, 1).flatten(1)
    counts = torch.zeros(len(levels), _LEVELS, device=sources.device).scatter_add_(
        1, levels, torch.ones_like(levels, dtype=torch.float32)
    )
    shares = counts / levels.shape[1]
    return torch.special.entr(shares).sum(1).div(torch.log(torch.tensor(2.0))).view(sources.shape[:2])


def loss(network: nn.Module, batch: Tensor, features: Features) -> Tensor:
    """Of (B, 2, H, W)."""
    fused, weights = network(batch), quality(batch)
    structure = 1 - ssim(fused, batch)
    edges = (surround(fused) - surround(batch)).square().mean((2, 3))
    seen = perceptual(features, fused, batch)
    return (weights * (structure + _PERCEPTUAL * seen + _SURROUND * edges)).sum(1).mean()


RECIPE = Recipe(
    name="fusiondn",
    title="FusionDN",
    what="Densely connected network with normalization for two sources; a third of the paper's width",
    build=FusionDN,
    config=Config(width=16, decoder=(64, 32)),
    loss=loss,
    use="`fusiondn`",
    limits="dampens what is brightest, such as bone: its loss has no term for brightness; trained on brain slices of "
    "256 x 256 (CT, PET and SPECT with MR); not for diagnosis",
    golden=lambda network, sources: network(sources),
    compares_features=True,
    consolidation=1e6,
    batch=8,
    sources=2,
    schedule=Schedule(steps=1200, rate=5e-4),
)
