"""Whose features a loss compares: those of the network trained here, or VGG16's where the machine has them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from MedFusionLib.errors import FileError, UnknownNameError
from MedFusionLib.networks.feature_network import Config, FeatureNetwork
from MedFusionLib.networks.loading import trained

OURS, VGG = "feature_network", "vgg16"
KINDS = (OURS, VGG)

_VGG_FILE = "vgg16-397923af.pth"

_VGG_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of each stage."""

_ENDS = tuple(end - 1 for end in accumulate(2 * count + 1 for _, count in _VGG_STAGES))
"""Layers of VGG16 behind which its five stages end; the next one begins by halving."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Features = Callable[[Tensor], list[Tensor]]
"""(N, 1, H, W) in [0, 1] -> features of five stages, fine to coarse."""


def frozen_features(kind: str = OURS, device: str = "cpu") -> Features:
    """A frozen network's features.

    Args:
        kind: one of `KINDS`; for VGG16 (Simonyan and Zisserman 2015, arXiv 1409.1556) as trained on ImageNet,
            torchvision's weights must be among those that torch keeps on this machine: nothing is downloaded.
        device: where to.

    Raises:
        UnknownNameError: if there is no such network.
        FileError: if the weights of VGG16 are not on this machine, or others.
    """
    if kind == OURS:
        return trained(OURS, FeatureNetwork, Config, torch.zeros(1, device=device))
    if kind == VGG:
        return _VGG(_vgg_layers()).to(device).eval().requires_grad_(False)
    raise UnknownNameError("Features for the loss", found=repr(kind), accepted=", ".join(KINDS))


def _vgg_layers() -> nn.Sequential:
    """The convolutional part, its layers numbered as torchvision numbers them."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / _VGG_FILE
    if not path.is_file():
        raise FileError("Features of VGG16", found=f"no {path}", accepted="the weights that torchvision keeps there")
    layers, inside = nn.Sequential(), 3
    for width, count in _VGG_STAGES:
        for _ in range(count):
            layers.extend([nn.Conv2d(inside, width, 3, padding=1), nn.ReLU()])
            inside = width
        layers.append(nn.MaxPool2d(2))
    prefix = "features."
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        layers.load_state_dict({key[len(prefix) :]: each for key, each in tensors.items() if key.startswith(prefix)})
    except (OSError, RuntimeError, EOFError, AttributeError, UnpicklingError) as error:
        raise FileError("Features of VGG16", found=f"{path}: {error}", accepted="torchvision's weights") from error
    return layers


class _VGG(nn.Module):
    """Stages of VGG16 for gray images, standardized as ImageNet's are."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: nn.Sequential):
        super().__init__()
        starts = (0, *_ENDS[:-1])
        self.stages = nn.ModuleList(layers[start:end] for start, end in zip(starts, _ENDS, strict=True))
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, features = (images - self.mean) / self.deviation, []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
