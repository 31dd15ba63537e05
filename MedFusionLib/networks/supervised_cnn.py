"""The encoder and decoder of `supervised_cnn` (Li et al. 2021, doi 10.3389/fnins.2021.638976); sizes are ours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from MedFusionLib.networks._blocks import convolution

STRIDE = 4
"""Sides of images must be multiples of this."""


@dataclass(frozen=True)
class Config:
    """Sizes of the network.

    Args:
        width: channels at full size; twice as many at half, four times as many at a quarter.
    """

    width: int = 32


class SupervisedCNN(nn.Module):
    """(B, 2, H, W) in [0, 1], sides multiples of `STRIDE` -> (B, 1, H, W) in [0, 1]."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        width = config.width
        self.at_full = convolution(2, width, norm=True)
        self.at_half = convolution(width, 2 * width, norm=True, stride=2)
        self.at_quarter = nn.Sequential(
            convolution(2 * width, 4 * width, norm=True, stride=2), convolution(4 * width, 4 * width, norm=True)
        )
        self.up_to_half = convolution(6 * width, 2 * width, norm=True)
        self.up_to_full = convolution(3 * width, width, norm=True)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, sources: Tensor) -> Tensor:
        """Fuse two sources."""
        full = self.at_full(sources)
        half = self.at_half(full)
        x = self.up_to_half(torch.cat([_doubled(self.at_quarter(half)), half], 1))
        x = self.up_to_full(torch.cat([_doubled(x), full], 1))
        return self.last(x).sigmoid()


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
