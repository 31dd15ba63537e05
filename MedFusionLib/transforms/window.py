"""Sums, maxima and Gaussians over a voxel's neighborhood, separable, with a half-sample symmetric border.

Everything here is built of shifted additions, not convolutions: each output is the same sequence of operations
wherever its neighborhood lies, so that a slab of a volume gives bit for bit what the whole volume gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def spatial_axes(x: Tensor) -> tuple[int, ...]:
    """The axes of S in (B, C, *S)."""
    return tuple(range(2, x.ndim))


def symmetric_pad(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Extend along one axis by mirroring, the edge voxel repeated; the extension may be longer than the image."""
    size = x.shape[axis]
    if max(before, after) <= size:
        head, tail = x.narrow(axis, 0, before).flip(axis), x.narrow(axis, size - after, after).flip(axis)
        return torch.cat([head, x, tail], axis)
    index = torch.arange(-before, size + after, device=x.device) % (2 * size)
    return x.index_select(axis, torch.minimum(index, 2 * size - 1 - index))


def at_least(x: Tensor, size: int, axes: Sequence[int]) -> Tensor:
    """Mirror what is smaller than `size` along an axis beyond its end; larger images come back as they are."""
    for axis in axes:
        if x.shape[axis] < size:
            x = symmetric_pad(x, axis, 0, size - x.shape[axis])
    return x


def in_steps(x: Tensor, step: int, axes: Sequence[int]) -> Tensor:
    """Mirror beyond the ends of axes whose size is no multiple of `step`, two of them at the least."""
    for axis in axes:
        size = max(2 * step, -(-x.shape[axis] // step) * step)
        x = symmetric_pad(x, axis, 0, size - x.shape[axis])
    return x


def every_second(x: Tensor, axis: int, first: int) -> Tensor:
    """The even (first = 0) or odd (first = 1) samples along one axis."""
    index = [slice(None)] * x.ndim
    index[axis] = slice(first, None, 2)
    return x[tuple(index)]


def box_max(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Maximum over the 3-voxel neighborhood along each axis."""
    for axis in axes:
        padded = symmetric_pad(x, axis, 1, 1)
        size = x.shape[axis]
        x = torch.maximum(torch.maximum(padded.narrow(axis, 0, size), x), padded.narrow(axis, 2, size))
    return x


def box_sum(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Sum over the 3-voxel neighborhood along each axis."""
    for axis in axes:
        padded = symmetric_pad(x, axis, 1, 1)
        size = x.shape[axis]
        x = padded.narrow(axis, 0, size) + x + padded.narrow(axis, 2, size)
    return x


def box_mean(x: Tensor, radius: int, axes: Sequence[int]) -> Tensor:
    """Mean over the (2 radius + 1)-voxel neighborhood along each axis, in float64.

    Cumulative sums make the cost independent of the radius; in float32 they would lose the digits that the guided
    filter's small variances live in.
    """
    x = x.double()
    for axis in axes:
        size, width = x.shape[axis], 2 * radius + 1
        total = symmetric_pad(x, axis, radius + 1, radius).cumsum(axis)
        x = (total.narrow(axis, width, size) - total.narrow(axis, 0, size)) / width
    return x


def gaussian_radius(sigma: float) -> int:
    """Where the Gaussian is cut off: three sigma."""
    return math.ceil(3 * sigma)


def gaussian(x: Tensor, sigma: float, axes: Sequence[int], radius: int | None = None) -> Tensor:
    """Gaussian of this width in voxels along each axis, cut off at `radius` (three sigma) and normalized."""
    radius = gaussian_radius(sigma) if radius is None else radius
    taps = [math.exp(-0.5 * (n / sigma) ** 2) for n in range(radius + 1)]
    total = taps[0] + 2 * sum(taps[1:])
    for axis in axes:
        size = x.shape[axis]
        padded = symmetric_pad(x, axis, radius, radius)
        blurred = x * (taps[0] / total)
        for n in range(1, radius + 1):
            blurred.add_(padded.narrow(axis, radius - n, size), alpha=taps[n] / total)
            blurred.add_(padded.narrow(axis, radius + n, size), alpha=taps[n] / total)
        x = blurred
    return x


def laplacian(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Sum of the second differences along each axis."""
    total = torch.zeros_like(x)
    for axis in axes:
        padded = symmetric_pad(x, axis, 1, 1)
        size = x.shape[axis]
        total += padded.narrow(axis, 0, size) + padded.narrow(axis, 2, size) - 2 * x
    return total
