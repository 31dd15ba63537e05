"""IFCNN: features of each source, joined element by element: any number of sources (Zhang et al. 2020).

The paper's first layer is that of a network trained on ImageNet; ours is a fixed bank of 64 Gabor filters, unless
published weights are brought in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

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
        self.straight: _Straight | None = None
        self.conv4 = nn.Conv2d(width, config.channels, 1)

        published = config.channels == 3
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION), ("luma", _LUMA)):
            numbers = torch.tensor(values if published else [float(name != "mean")]).view(1, -1, 1, 1)
            self.register_buffer(name, numbers, persistent=False)

    def encode(self, gray: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, width, H, W)."""
        if self.straight is not None and min(gray.shape[2:]) > 1:
            return self.straight(gray)
        images = gray.expand(-1, self.config.channels, -1, -1)
        return self.conv2(self.conv1((images - self.mean) / self.deviation))

    def shorten(self) -> None:
        """In use, with its normalization folded in, the two first layers are one: nothing bends between them."""
        self.straight = _Straight(self)

    def decode(self, features: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, channels, H, W), not clipped."""
        return self.conv4(self.conv3(features))

    def forward(self, sources: Tensor, join: str = "max") -> Tensor:
        """(B, K, H, W) gray in [0, 1] -> (B, 1, H, W), not clipped; features joined by their "max", "mean" or "sum"."""
        features = [self.encode(sources[:, k : k + 1]) for k in range(sources.shape[1])]
        fused = self.decode(joined(features, join)) * self.deviation + self.mean
        return (fused * self.luma).sum(1, keepdim=True)


def joined(features: Sequence[Tensor], join: str) -> Tensor:
    """(B, C, H, W) of each source -> (B, C, H, W)."""
    if join == "max":
        return reduce(torch.maximum, features)
    total = reduce(torch.add, features)
    return total / len(features) if join == "mean" else total


class _Straight(nn.Module):
    """The two first layers as one of 9 x 9, for gray images: an eighth of the work.

    It differs at the outermost pixels only, where the second layer repeats features of the first and not pixels; there
    both layers are run as they are.
    """

    first: Tensor
    second: Tensor
    whole: Tensor
    bias: Tensor

    def __init__(self, network: IFCNN):
        super().__init__()
        folded = network.conv2.get_submodule("0").state_dict()
        second = folded["weight"]
        scaled = network.conv1.weight.detach() / network.deviation
        first = scaled.sum(1, keepdim=True)
        shift = -(scaled * network.mean).sum((1, 2, 3))
        # Two filters one after the other are one: their convolution.
        whole = functional.conv2d(first.transpose(0, 1), second.flip(2, 3), padding=2).transpose(0, 1)
        for name, each in (
            ("first", first),
            ("second", second),
            ("whole", whole.contiguous()),
            ("bias", folded["bias"] + (second * shift.view(1, -1, 1, 1)).sum((1, 2, 3))),
        ):
            self.register_buffer(name, each)

    def forward(self, gray: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, width, H, W)."""
        features = functional.conv2d(functional.pad(gray, (4, 4, 4, 4), mode="replicate"), self.whole, self.bias)
        wide = functional.pad(gray, (3, 3, 3, 3), mode="replicate")
        features[:, :, :1] = self._edge(wide[:, :, :8], (1, 1, 1, 0))
        features[:, :, -1:] = self._edge(wide[:, :, -8:], (1, 1, 0, 1))
        features[..., :1] = self._edge(wide[..., :8], (1, 0, 1, 1))
        features[..., -1:] = self._edge(wide[..., -8:], (0, 1, 1, 1))
        return features.relu_()

    def _edge(self, strip: Tensor, repeated: tuple[int, int, int, int]) -> Tensor:
        """Both layers where the image ends: of eight rows or columns of pixels one of features is left."""
        first = functional.pad(functional.conv2d(strip, self.first), repeated, mode="replicate")
        return functional.conv2d(first, self.second, self.bias)


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
