"""U2Fusion: one densely connected network for every task of fusion (Xu et al. 2022, doi 10.1109/TPAMI.2020.3012548)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from MedFusionLib.networks._blocks import BLOCKS, convolution

_SLOPE = 0.2


@dataclass(frozen=True)
class Config:
    """Sizes of the network; the paper's by default (659,217 parameters).

    Args:
        width: channels that every layer of the encoder adds.
        decoder: channels of the decoder's layers, the last but one.
        block: kind of the encoder's trunk, a name of `BLOCKS`.
    """

    width: int = 44
    decoder: tuple[int, ...] = (128, 64, 32)
    block: str = "dense"


class U2Fusion(nn.Module):
    """(B, 2, H, W) in [0, 1] -> (B, 1, H, W) in [0, 1]."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        width = config.width
        self.first = convolution(2, width, slope=_SLOPE)
        self.block = BLOCKS[config.block](width, width, 5, slope=_SLOPE)
        sizes = (6 * width, *config.decoder)
        self.decoder = nn.Sequential(
            *(convolution(inside, outside, slope=_SLOPE) for inside, outside in pairwise(sizes)),
            convolution(sizes[-1], 1, slope=None),
        )

    def forward(self, sources: Tensor) -> Tensor:
        """Fuse two sources."""
        return self.decoder(self.block(self.first(sources))).tanh() / 2 + 0.5
