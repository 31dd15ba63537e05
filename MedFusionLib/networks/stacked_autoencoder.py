"""Stacked units that split an image into a high and a low map and put it together again (Xia et al. 2019).

The paper's text leaves sizes open; these are ours (about 3,000 parameters a unit).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from MedFusionLib.networks._blocks import convolution


@dataclass(frozen=True)
class Config:
    """Sizes of the network.

    Args:
        units: stacked; each splits the low map of the one before.
        width: channels inside a unit.
    """

    units: int = 3
    width: int = 16


class Unit(nn.Module):
    """Fixed Laplacian-of-Gaussian and Gaussian filters, learned splitting, learned rebuilding."""

    filters: Tensor

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("filters", fixed_filters())
        self.split = nn.Sequential(convolution(2, width), convolution(width, 2, slope=None))
        self.join = nn.Sequential(convolution(2, width), convolution(width, 1, slope=None))

    def decompose(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, H, W) -> its high and low map, (N, 1, H, W) each."""
        padded = functional.pad(image, (2, 2, 2, 2), mode="replicate")
        maps = self.split(functional.conv2d(padded, self.filters))
        return maps[:, :1], maps[:, 1:]

    def rebuild(self, high: Tensor, low: Tensor) -> Tensor:
        """The image of both maps."""
        return self.join(torch.cat([high, low], 1))


class StackedAutoencoder(nn.Module):
    """Units one below the other; fusion happens between their halves."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.stack = nn.ModuleList(Unit(config.width) for _ in range(config.units))

    @property
    def units(self) -> list[Unit]:
        """From the finest to the coarsest."""
        return [unit for unit in self.stack if isinstance(unit, Unit)]

    def decompose(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """(N, 1, H, W) -> the high maps from fine to coarse, and the low map that is left."""
        highs = []
        for unit in self.units:
            high, images = unit.decompose(images)
            highs.append(high)
        return highs, images

    def rebuild(self, highs: list[Tensor], low: Tensor) -> Tensor:
        """What `decompose` took apart."""
        for unit, high in zip(reversed(self.units), reversed(highs), strict=True):
            low = unit.rebuild(high, low)
        return low

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) apart and together again."""
        return self.rebuild(*self.decompose(images))


def fixed_filters() -> Tensor:
    """(2, 1, 5, 5): the Laplacian of a Gaussian, without mean, and the Gaussian, both of sigma 1."""
    place = torch.arange(-2.0, 3.0)
    squares = place[:, None] ** 2 + place[None] ** 2
    gaussian = torch.exp(-squares / 2)
    laplacian = (squares - 2) * gaussian
    return torch.stack([laplacian - laplacian.mean(), gaussian / gaussian.sum()])[:, None]
