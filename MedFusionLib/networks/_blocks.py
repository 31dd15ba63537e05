"""Blocks that networks share; `BLOCKS` are the kinds of trunk that a configuration names."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Padding = Literal["zeros", "reflect", "replicate"]


def convolution(
    inside: int,
    outside: int,
    size: int = 3,
    *,
    slope: float | None = 0.0,
    padding: Padding = "reflect",
    norm: bool = False,
    stride: int = 1,
) -> nn.Sequential:
    """A convolution that keeps the size of the image, or its part, and what follows it.

    Args:
        inside: channels in.
        outside: channels out.
        size: of the kernel, odd.
        slope: of a leaky rectifier, 0 for a plain one; None for none.
        padding: "reflect", "replicate" or "zeros".
        norm: normalize batches before the rectifier (Ioffe and Szegedy 2015, arXiv 1502.03167).
        stride: pixels from one output to the next.
    """
    layers: list[nn.Module] = [nn.Conv2d(inside, outside, size, padding=size // 2, padding_mode=padding, stride=stride)]
    if norm:
        layers.append(nn.BatchNorm2d(outside))
    if slope is not None:
        layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
    return nn.Sequential(*layers)


class Dense(nn.Module):
    """Every layer sees what all before it made (Huang et al. 2017, doi 10.1109/CVPR.2017.243).

    (B, inside, H, W) -> (B, inside + count * growth, H, W).
    """

    def __init__(self, inside: int, growth: int, count: int, *, slope: float = 0.0, padding: Padding = "reflect"):
        super().__init__()
        self.layers = nn.ModuleList(
            convolution(inside + number * growth, growth, slope=slope, padding=padding) for number in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


class Plain(nn.Module):
    """As many layers one after the other: the yardstick of the other blocks, with as many channels out."""

    def __init__(self, inside: int, growth: int, count: int, *, slope: float = 0.0, padding: Padding = "reflect"):
        super().__init__()
        outside = inside + count * growth
        self.layers = nn.Sequential(
            *(
                convolution(inside if number == 0 else outside, outside, slope=slope, padding=padding)
                for number in range(count)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Residual(nn.Module):
    """Each pair of layers adds to what it got, from zero on (He et al. 2016, doi 10.1109/CVPR.2016.90)."""

    def __init__(self, inside: int, growth: int, count: int, *, slope: float = 0.0, padding: Padding = "reflect"):
        super().__init__()
        outside = inside + count * growth
        self.widen = convolution(inside, outside, slope=slope, padding=padding)
        self.layers = nn.ModuleList(_addition(outside, slope, padding) for _ in range(max(1, (count - 1) // 2)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.widen(x)
        for layer in self.layers:
            x = x + layer(x)
        return x


def _addition(channels: int, slope: float, padding: Padding) -> nn.Sequential:
    last = nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding)
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
    return nn.Sequential(convolution(channels, channels, slope=slope, padding=padding), last)


class ChannelAttention(nn.Module):
    """Channels weighed by their means over the image (Hu et al. 2018, doi 10.1109/CVPR.2018.00745)."""

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        self.squeeze = nn.Linear(channels, max(1, channels // reduction))
        self.excite = nn.Linear(max(1, channels // reduction), channels)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.excite(functional.relu(self.squeeze(x.mean((2, 3))))).sigmoid()
        return x * weights[:, :, None, None]


class SpatialAttention(nn.Module):
    """Pixels weighed by mean and maximum of their channels (Woo et al. 2018, doi 10.1007/978-3-030-01234-2_1)."""

    def __init__(self, size: int = 7):
        super().__init__()
        self.weigh = nn.Conv2d(2, 1, size, padding=size // 2, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weigh(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)).sigmoid()


class Attentive(nn.Module):
    """A dense block whose channels and then pixels are weighed."""

    def __init__(self, inside: int, growth: int, count: int, *, slope: float = 0.0, padding: Padding = "reflect"):
        super().__init__()
        channels = inside + count * growth
        self.layers = nn.Sequential(
            Dense(inside, growth, count, slope=slope, padding=padding), ChannelAttention(channels), SpatialAttention()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


BLOCKS = {"dense": Dense, "plain": Plain, "residual": Residual, "attention": Attentive}
"""Trunks by name: (B, inside, H, W) -> (B, inside + count * growth, H, W), for ablations."""
