"""The classifier of `cnn_pyramid`: sharp patches against blurred ones, of one modality or of two.

    medfusion train cnn_pyramid --data DIR

The paper blurs one modality a fixed way, which is learned in a hundred steps and says little about CT beside MR. Here
the width of the blur, the brightness of each and the modalities vary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from MedFusionLib.networks.siamese import BLOCK, Config, Siamese
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.patches import blurred
from MedFusionLib.training.recipe import Recipe


def sharp_and_blurred(patches: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 2, 16, 16) -> (B, 3, 16, 16): a pair, one of it blurred, and ones where the first is the sharp one."""
    count = len(patches)
    widths = torch.rand(count, generator=generator) * 2.5 + 0.5
    same = torch.rand(count, generator=generator) < 0.5
    first, second = patches[:, :1], torch.where(same[:, None, None, None], patches[:, :1], patches[:, 1:2])
    soft = torch.cat([blurred(each[None], float(sigma)) for each, sigma in zip(second, widths, strict=True)])
    pair = torch.cat([first, soft], 1)
    turned = torch.rand(count, generator=generator) < 0.5
    pair = torch.where(turned[:, None, None, None], pair.flip(1), pair)
    label = (~turned).float()[:, None, None, None].expand(-1, 1, *pair.shape[2:])
    return torch.cat([pair, label], 1)


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    """Cross-entropy of what `sharp_and_blurred` made."""
    verdicts = network(batch[:, :2])[:, :, 0, 0]
    return functional.cross_entropy(verdicts, (batch[:, 2, 0, 0] < 0.5).long())


RECIPE = Recipe(
    name="cnn_pyramid",
    title="Sharpness classifier",
    what="Siamese network of half the paper's width that says which of two patches is the sharper",
    build=Siamese,
    config=Config(width=32),
    loss=loss,
    schedule=Schedule(steps=1500, rate=1e-3),
    use="the weights of `cnn_pyramid`",
    limits="trained on brain slices of 256 x 256; sharpness is not diagnostic content",
    golden=lambda network, sources: network(sources),
    patch=BLOCK,
    batch=64,
    prepare=sharp_and_blurred,
)
