"""IFCNN: features of each source, joined element by element: any number of sources (Zhang et al. 2020).

The paper's first layer is that of a network trained on ImageNet; ours is a fixed bank of 64 Gabor filters, unless
published weights are brought in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_MEAN, _DEVIATION, _LUMA = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], [0.299, 0.587, 0.114]


@dataclass(frozen=True)
class Config:
    """Sizes of the network; the paper's by default.

    Args:
        channels: of images: 1, or 3 as in the published networks: gray is repeated, standardized as they had ImageNet's
            pictures, and the result is the luma. (The paper does not tell; with it the authors' own images come out.)
        width: of the features.
    """

    channels: int = 1
    width: int = 64


class IFCNN(nn.Module):
    """Two layers for each source, a rule, two layers for the result."""

    mean: Tensor
    deviation: Tensor
    luma: Tensor

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config, width = config, config.width
        self.conv1 = nn.Conv2d(config.channels, width, 7, padding=3, padding_mode="replicate", bias=False)
        self.conv1.weight = nn.Parameter(
            gabor(width)[:, None].repeat(1, config.channels, 1, 1) / config.channels, requires_grad=False
        )
        self.conv2, self.conv3 = _layer(width), _layer(width)
        self.conv4 = nn.Conv2d(width, config.channels, 1)

        published = config.channels == 3
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION), ("luma", _LUMA)):
            numbers = torch.tensor(values if published else [float(name != "mean")]).view(1, -1, 1, 1)
            self.register_buffer(name, numbers, persistent=False)

    def encode(self, images: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H, W)."""
        return self.conv2(self.conv1(images))

    def decode(self, features: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, channels, H, W), not clipped."""
        return self.conv4(self.conv3(features))

    def forward(self, sources: Tensor, join: str = "max") -> Tensor:
        """(B, K, H, W) gray in [0, 1] -> (B, 1, H, W), not clipped; features joined by their "max", "mean" or "sum"."""
        count, number = sources.shape[:2]
        gray = sources.flatten(0, 1)[:, None].expand(-1, self.config.channels, -1, -1)
        features = self.encode((gray - self.mean) / self.deviation).unflatten(0, (count, number))
        fused = self.decode(joined(features, join)) * self.deviation + self.mean
        return (fused * self.luma).sum(1, keepdim=True)


def joined(features: Tensor, join: str) -> Tensor:
    """(B, K, C, H, W) of the sources -> (B, C, H, W)."""
    if join == "max":
        return features.amax(1)
    return features.mean(1) if join == "mean" else features.sum(1)


def _layer(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate", bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


def gabor(count: int, size: int = 7) -> Tensor:
    """(count, size, size) Gabor filters of unit norm: eight orientations, even and odd, from fine to coarse.

    Daugman 1985 (doi 10.1364/JOSAA.2.001160). The first is the mean of its window, so that brightness passes.
    """
    reach = torch.arange(size, dtype=torch.float32) - size // 2
    down, right = torch.meshgrid(reach, reach, indexing="ij")
    filters = [torch.ones(size, size)]
    for number in range(count - 1):
        scale, rest = divmod(number, 16)
        phase, turn = divmod(rest, 8)
        angle, length = math.pi * turn / 8, 2.5 * 1.5**scale
        along = down * math.sin(angle) + right * math.cos(angle)
        envelope = torch.exp(-(down**2 + right**2) / (2 * (0.5 * length) ** 2))
        wave = envelope * torch.cos(2 * math.pi * along / length - phase * math.pi / 2)
        filters.append(wave - envelope * (wave.sum() / envelope.sum()))
    bank = torch.stack(filters)
    return bank / bank.flatten(1).norm(dim=1)[:, None, None]
