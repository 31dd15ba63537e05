"""DenseFuse: a dense encoder, a rule that joins the features of the sources, a plain decoder (Li, Wu 2019)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from MedFusionLib.networks._blocks import BLOCKS, convolution


@dataclass(frozen=True)
class Config:
    """Sizes of the network; the paper's by default (74,193 parameters).

    Args:
        width: channels of the first layer, and what every layer of the block adds.
        layers: of the block.
        block: its kind, a name of `BLOCKS`.
    """

    width: int = 16
    layers: int = 3
    block: str = "dense"


class DenseFuse(nn.Module):
    """An auto-encoder of gray images; fusion happens between its halves."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        width, channels = config.width, config.width * (1 + config.layers)
        self.first = convolution(1, width)
        self.block = BLOCKS[config.block](width, width, config.layers)
        self.decoder = nn.Sequential(
            convolution(channels, channels),
            convolution(channels, channels // 2),
            convolution(channels // 2, channels // 4),
            convolution(channels // 4, 1, slope=None),
        )

    def encode(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1] -> (B, C, H, W)."""
        return self.block(self.first(images))

    def decode(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 1, H, W), not clipped."""
        return self.decoder(features)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) through both halves."""
        return self.decode(self.encode(images))
