"""Take images apart into overlapping square patches and put them together again as the mean of what overlaps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from MedFusionLib.transforms.window import symmetric_pad


def places(length: int, size: int, stride: int) -> int:
    """How many patches of `size` begin every `stride` voxels until all of `length` is covered."""
    return 1 + max(0, -((size - length) // stride))


def extend(x: Tensor, size: int, stride: int) -> Tensor:
    """(B, C, H, W) mirrored beyond its end until patches cover it all."""
    for axis in (2, 3):
        length = x.shape[axis]
        x = symmetric_pad(x, axis, 0, (places(length, size, stride) - 1) * stride + size - length)
    return x


def unfold(x: Tensor, size: int, stride: int) -> Tensor:
    """Patches (B, C, size * size, n), row by row, of (B, C, H, W); what fills no patch at the end is left out."""
    patches = functional.unfold(x.flatten(0, 1)[:, None], size, stride=stride)
    return patches.unflatten(0, x.shape[:2])


def fold(patches: Tensor, shape: tuple[int, int], size: int, stride: int) -> Tensor:
    """The sum (B, C, H, W) at each voxel of the patches (B, C, size * size, n) that cover it."""
    image = functional.fold(patches.flatten(0, 1), shape, size, stride=stride)
    return image.unflatten(0, patches.shape[:2])[:, :, 0]


def counts(shape: tuple[int, int], size: int, stride: int, like: Tensor) -> Tensor:
    """How many patches cover each voxel, (1, 1, H, W) of `like`'s type and device."""
    along = []
    for length in shape:
        line = torch.zeros(length, dtype=like.dtype, device=like.device)
        for start in range(0, length - size + 1, stride):
            line[start : start + size] += 1
        along.append(line)
    return (along[0][:, None] * along[1])[None, None]
