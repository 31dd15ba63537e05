"""A network whose layers see what is in a slice, for losses that compare more than pixels.

It stands where published work takes a network trained on ImageNet: five stages as in VGG (Simonyan and Zisserman 2015,
arXiv 1409.1556), normalized over batches. Normalized over groups of channels, the mean over the image that its heads
see would be nearly the same for every image, and it learns neither modality nor turns.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from MedFusionLib.volume import MODALITIES

QUARTERS = 4
"""Turns that a slice may have made."""


@dataclass(frozen=True)
class Config:
    """Sizes of the network.

    Args:
        widths: channels of the stages; each but the first sees half the pixels a side.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 128)


class FeatureNetwork(nn.Module):
    """Stages, and the heads they were trained with: modality, quarter turns, and the image without its noise."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        inside = (1, *config.widths[:-1])
        self.stages = nn.ModuleList(_stage(*sizes) for sizes in zip(inside, config.widths, strict=True))
        self.modality = nn.Linear(config.widths[-1], len(MODALITIES))
        self.turn = nn.Linear(config.widths[-1], QUARTERS)
        self.rebuild = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in config.widths)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 1, H, W) in [0, 1], sides of 16 and more -> features of every stage, fine to coarse."""
        features: list[Tensor] = []
        x = images
        for number, stage in enumerate(self.stages):
            x = stage(functional.max_pool2d(x, 2) if number else x)
            features.append(x)
        return features

    def told(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 1, H, W) -> logits of the modality (N, M) and of the quarter turns (N, 4), and the clean image."""
        features = self(images)
        seen = features[-1].mean((2, 3))
        clean = sum(
            functional.interpolate(rebuild(each), images.shape[2:], mode="bilinear", align_corners=False)
            for rebuild, each in zip(self.rebuild, features, strict=True)
        )
        return self.modality(seen), self.turn(seen), clean  # type: ignore[return-value]


def _stage(inside: int, outside: int) -> nn.Sequential:
    """Two convolutions, each normalized and rectified."""
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [
            nn.Conv2d(channels, outside, 3, padding=1, padding_mode="replicate"),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
