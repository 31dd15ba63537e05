"""FusionDN: one densely connected network for every task of fusion (Xu et al. 2020, doi 10.1609/aaai.v34i07.6936)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from MedFusionLib.networks._blocks import convolution


@dataclass(frozen=True)
class Config:
    """Sizes of the network; the paper's by default (1,161,217 parameters, those of the normalization apart).

    Args:
        width: channels that every step of the encoder adds.
        steps: of the encoder, each of two layers, behind the first.
        decoder: channels of the decoder's layers, behind its first and before its last.
    """

    width: int = 48
    steps: int = 4
    decoder: tuple[int, ...] = (128, 64)


class FusionDN(nn.Module):
    """(B, 2, H, W) in [0, 1] -> (B, 1, H, W) in [0, 1].

    Batches are normalized by their own numbers in training and by the running ones in use; the authors' code takes the
    batch's own in use too, so that a result depends on what else is in the batch.
    """

    def __init__(self, config: Config = Config()):
        super().__init__()
        width = config.width
        self.first = convolution(2, width, norm=True)
        self.steps = nn.ModuleList(
            nn.Sequential(convolution((1 + number) * width, width, norm=True), convolution(width, width, norm=True))
            for number in range(config.steps)
        )
        channels = (1 + config.steps) * width
        sizes = (channels, channels, *config.decoder)
        self.decoder = nn.Sequential(
            *(convolution(inside, outside, norm=True) for inside, outside in pairwise(sizes)),
            convolution(sizes[-1], 1, slope=None),
        )

    def forward(self, sources: Tensor) -> Tensor:
        """Fuse two sources."""
        x = self.first(sources)
        for step in self.steps:
            x = torch.cat([x, step(x)], 1)
        return self.decoder(x).tanh() / 2 + 0.5
