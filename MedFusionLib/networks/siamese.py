"""A siamese classifier that says which of two patches is the sharper one (Liu et al. 2017).

Run over whole images it gives a probability for every 16 x 16 block, at every second pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCK = 16
"""Pixels a side of what one verdict is about."""


@dataclass(frozen=True)
class Config:
    """Sizes of the network; the paper's by default (435,202 parameters).

    Args:
        width: channels of the first layer; the second has twice, the third four times as many.
    """

    width: int = 64


class Siamese(nn.Module):
    """Shared branches of three convolutions, then one that covers what is left of a block."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        width = config.width
        self.branch = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
        )
        self.verdict = nn.Conv2d(8 * width, 2, BLOCK // 2)

    def features(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) in [0, 1], even sizes from 16 on -> (N, 4 width, H / 2, W / 2)."""
        return self.branch(images)

    def logits(self, first: Tensor, second: Tensor) -> Tensor:
        """Features of both -> (N, 2, H / 2 - 7, W / 2 - 7): the first is the sharper, the second is."""
        return self.verdict(torch.cat([first, second], 1))

    def verdicts(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """`logits` of both orders: each half of the filter is applied to each source once."""
        halves = torch.cat(self.verdict.weight.chunk(2, 1))
        front, back = (functional.conv2d(features, halves) for features in (first, second))
        outside = self.verdict.out_channels
        bias = self.verdict.bias[:, None, None]  # type: ignore[index]
        there, turned = front[:, :outside] + back[:, outside:], back[:, :outside] + front[:, outside:]
        return there + bias, turned + bias

    def forward(self, pair: Tensor) -> Tensor:
        """(N, 2, H, W) -> the logits."""
        features = self.features(pair.flatten(0, 1)[:, None]).unflatten(0, (len(pair), 2))
        return self.logits(features[:, 0], features[:, 1])
