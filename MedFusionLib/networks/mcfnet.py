"""MCFNet: features at a quarter of the size, and the sources themselves given back on the way up.

Liang et al. 2019, doi 10.1109/JSEN.2019.2913281. The paper tells the topology; sizes and the trunk are our completion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from MedFusionLib.networks._blocks import convolution

STRIDE = 4
"""Sides of images must be multiples of this."""

_WIDE = 9
"""Pixels a side of the first filter and of the last."""


@dataclass(frozen=True)
class Config:
    """Sizes of the network.

    Args:
        width: channels at full size; twice as many at half, four times as many at a quarter.
        blocks: residual blocks of the trunk.
    """

    width: int = 64
    blocks: int = 8


class MCFNet(nn.Module):
    """(B, 2, H, W) in [0, 1], sides multiples of `STRIDE` -> (B, 1, H, W) in [0, 1]."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        width = config.width
        self.down = nn.Sequential(
            convolution(2, width, _WIDE),
            convolution(width, 2 * width, stride=2),
            convolution(2 * width, 4 * width, stride=2),
        )
        self.trunk = nn.Sequential(*(_Bottleneck(4 * width) for _ in range(config.blocks)))
        self.up_to_half, self.at_half = FastUp(4 * width + 2, 2 * width), convolution(2 * width + 2, 2 * width)
        self.up_to_full, self.at_full = FastUp(2 * width, width), convolution(width + 2, width)
        self.last: nn.Module = convolution(width, 1, _WIDE, slope=None)

    def forward(self, sources: Tensor) -> Tensor:
        """Fuse two sources."""
        half = functional.avg_pool2d(sources, 2)
        x = self.trunk(self.down(sources))
        x = self.up_to_half(torch.cat([x, functional.avg_pool2d(half, 2)], 1))
        x = self.up_to_full(self.at_half(torch.cat([x, half], 1)))
        return self.last(self.at_full(torch.cat([x, sources], 1))).sigmoid()

    def shorten(self) -> None:
        """In use, the last layer runs row by row."""
        self.last = _ByRows(self.last.get_submodule("0"))


class _ByRows(nn.Module):
    """A large filter to a single channel, as one of single rows to as many channels, that are moved and added.

    Processors work on eight channels and more at once; for one they idle.
    """

    rows: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Module):
        super().__init__()
        weight = layer.get_parameter("weight")
        self.register_buffer("rows", weight[0].transpose(0, 1)[:, :, None].contiguous())
        self.register_buffer("bias", layer.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        height, reach = x.shape[2], len(self.rows) // 2
        sums = functional.conv2d(functional.pad(x, (reach,) * 4, mode="reflect"), self.rows)
        moved = [sums[:, number : number + 1, number : number + height] for number in range(len(self.rows))]
        return reduce(torch.add, moved) + self.bias


class _Bottleneck(nn.Module):
    """Adds what a quarter of the channels make of it (He et al. 2016, doi 10.1109/CVPR.2016.90)."""

    def __init__(self, channels: int):
        super().__init__()
        narrow = channels // 4
        self.layers = nn.Sequential(
            convolution(channels, narrow, 1), convolution(narrow, narrow), convolution(narrow, channels, 1, slope=None)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class FastUp(nn.Module):
    """(B, inside, H, W) -> (B, outside, 2 H, 2 W), a kernel for each of the four pixels that one becomes.

    It leaves no checkerboard (Laina et al. 2016, doi 10.1109/3DV.2016.32).
    """

    def __init__(self, inside: int, outside: int):
        super().__init__()
        self.phases = nn.ModuleList(nn.Conv2d(inside, outside, (rows, columns)) for rows, columns in _KERNELS)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        phases = []
        for (rows, columns), layer in zip(_KERNELS, self.phases, strict=True):
            # A kernel of two reaches to the pixel on its side: before for the first, after for none.
            phases.append(layer(functional.pad(x, (1, columns - 2, 1, rows - 2), mode="replicate")))
        return functional.relu(self.norm(functional.pixel_shuffle(torch.stack(phases, 2).flatten(1, 2), 2)))


_KERNELS = ((3, 3), (3, 2), (2, 3), (2, 2))
"""Of the pixels above left, above right, below left, below right."""
