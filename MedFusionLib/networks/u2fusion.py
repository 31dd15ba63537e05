"""U2Fusion: one densely connected network for every task of fusion (Xu et al. 2022, doi 10.1109/TPAMI.2020.3012548)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from MedFusionLib.networks._blocks import BLOCKS, Padding, convolution

_SLOPE = 0.2


@dataclass(frozen=True)
class Config:
    """Sizes of the network; the paper's by default (659,217 parameters).

    Args:
        width: channels that every layer of the encoder adds.
        decoder: channels of the decoder's layers, the last but one.
        block: kind of the encoder's trunk, a name of `BLOCKS`.
        padding: what lies beyond the border, "reflect", "replicate" or "zeros".
        centered: the network sees black as -1, not as 0.
    """

    width: int = 44
    decoder: tuple[int, ...] = (128, 64, 32)
    block: str = "dense"
    padding: Padding = "reflect"
    centered: bool = False


class U2Fusion(nn.Module):
    """(B, 2, H, W) in [0, 1] -> (B, 1, H, W) in [0, 1]."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config, width, padding = config, config.width, config.padding
        self.first = convolution(2, width, slope=_SLOPE, padding=padding)
        self.block = BLOCKS[config.block](width, width, 5, slope=_SLOPE, padding=padding)
        sizes = (6 * width, *config.decoder)
        self.decoder = nn.Sequential(
            *(convolution(inside, outside, slope=_SLOPE, padding=padding) for inside, outside in pairwise(sizes)),
            convolution(sizes[-1], 1, slope=None, padding=padding),
        )

    def forward(self, sources: Tensor) -> Tensor:
        """Fuse two sources."""
        if self.config.centered:
            sources = 2 * sources - 1
        return self.decoder(self.block(self.first(sources))).tanh() / 2 + 0.5
