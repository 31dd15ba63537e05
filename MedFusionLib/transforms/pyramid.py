"""Laplacian pyramid (Burt, Adelson 1983, doi 10.1109/TCOM.1983.1095851) along any axes, any size.

The 5-tap kernel [1 4 6 4 1] / 16 is applied in its even and odd half, so that nothing is computed that decimation
would throw away. Odd sizes round up when reduced and are cropped when expanded; reconstruction is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from MedFusionLib.transforms.window import every_second, symmetric_pad


def reduce(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Blur and keep every second voxel along each axis: n -> ceil(n / 2)."""
    for axis in axes:
        size = x.shape[axis]
        if size == 1:
            continue
        half = (size + 1) // 2
        padded = symmetric_pad(x, axis, 2, 2 + size % 2)
        even, odd = every_second(padded, axis, 0), every_second(padded, axis, 1)
        x = even.narrow(axis, 0, half) + even.narrow(axis, 2, half)
        x.add_(even.narrow(axis, 1, half), alpha=6)
        x.add_(odd.narrow(axis, 0, half) + odd.narrow(axis, 1, half), alpha=4)
        x.mul_(1 / 16)
    return x


def expand(x: Tensor, shape: Sequence[int], axes: Sequence[int]) -> Tensor:
    """Interpolate to twice the size along each axis, cropped to `shape` (the sizes of `axes`)."""
    for axis, size in zip(axes, shape, strict=True):
        if size == 1:
            continue
        half = x.shape[axis]
        padded = symmetric_pad(x, axis, 1, 1)
        before, after = padded.narrow(axis, 0, half), padded.narrow(axis, 2, half)
        even = (before + after).add_(x, alpha=6).mul_(1 / 8)
        odd = (x + after).mul_(1 / 2)
        x = torch.stack([even, odd], axis + 1).flatten(axis, axis + 1).narrow(axis, 0, size)
    return x


def details(x: Tensor, levels: int, axes: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Each level's detail image, fine to coarse, with the low-pass image that remains below it.

    One level at a time, so that a caller who is done with a level need not keep it.
    """
    for _ in range(levels):
        low = reduce(x, axes)
        yield x - expand(low, [x.shape[axis] for axis in axes], axes), low
        x = low


def synthesize(levels: Sequence[Tensor], low: Tensor, axes: Sequence[int]) -> Tensor:
    """Rebuild the image that `details` took apart."""
    for detail in reversed(levels):
        low = detail + expand(low, [detail.shape[axis] for axis in axes], axes)
    return low
