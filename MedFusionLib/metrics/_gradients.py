"""Sobel gradients in 2-D and 3-D, scaled so that a ramp of one level a voxel has gradient 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from MedFusionLib.metrics._domain import axes_of

_SLAB = 2**20
"""Voxels of a volume whose gradients are held at once."""


def sobel(x: Tensor, spacing: Sequence[float] | None = None, border: str = "replicate") -> tuple[Tensor, ...]:
    """Derivatives of (B, C, *S) along each axis, smoothed by [1 2 1] / 4 along the others.

    Args:
        x: the images.
        spacing: voxel size along each axis; derivatives are by it, relative to the finest.
        border: "replicate" (no edge at the frame), "zeros" (as most public code), or "mirror" (edge voxel not
            repeated).
    """
    fine = min(spacing) if spacing else 1.0
    derivatives = []
    for along in axes_of(x):
        y = x
        for axis in axes_of(x):
            before, here, after = _neighbors(y, axis, border)
            y = (after - before) / 2 if axis == along else (before + 2 * here + after) / 4
        derivatives.append(y * (fine / spacing[along - 2]) if spacing else y)
    return tuple(derivatives)


Edges = tuple[Tensor, ...]


def edges(
    fused: Tensor,
    sources: Tensor,
    mask: Tensor | None,
    spacing: Sequence[float] | None = None,
    border: str = "replicate",
) -> Iterator[tuple[Edges, Edges, Tensor | None]]:
    """Sobel gradients of fused (B, 1, *S) and sources (B, K, *S) and the mask, a slab of a volume at a time.

    What is summed over slabs is the sum over the volume; small slabs spare memory and stay in the cache.
    """
    depth = fused.shape[2]
    thick = max(1, _SLAB // fused[:1, :1, :1].numel()) if fused.ndim > 4 else depth
    for start in range(0, depth, thick):
        stop = min(start + thick, depth)
        # One slice more on either side, for the derivative across; the border rule is for the volume's own ends.
        first, last = max(start - 1, 0), min(stop + 1, depth)
        inner = slice(start - first, stop - first)
        found = (sobel(x[:, :, first:last], spacing, border) for x in (fused, sources))
        f, s = (tuple(d[:, :, inner] for d in derivatives) for derivatives in found)
        yield f, s, None if mask is None else mask[:, :, start:stop]


def magnitude(derivatives: Sequence[Tensor]) -> Tensor:
    """Euclidean length; its gradient is 0, not infinite, where the length is 0."""
    squared = _dot(derivatives, derivatives)
    live = squared > 0
    return torch.where(live, torch.where(live, squared, 1).sqrt(), 0)


def angle_between(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Angle of two gradients in [0, pi/2], whichever way each points; one of no length lies along the first axis."""
    first, second = _with_direction(first), _with_direction(second)
    dot = _dot(first, second).abs()
    squared = _dot(first, first) * _dot(second, second)
    apart = squared - dot * dot
    # Below this share of the lengths the difference is rounding: parallel.
    crossed = apart > 1e-15 * squared
    cross = torch.where(crossed, torch.where(crossed, apart, 1).sqrt(), 0)
    return torch.atan2(cross, dot)


def _dot(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    product = first[0] * second[0]
    for a, b in zip(first[1:], second[1:], strict=True):
        product = product + a * b
    return product


def _with_direction(derivatives: Sequence[Tensor]) -> list[Tensor]:
    nowhere = torch.stack([d == 0 for d in derivatives]).all(0)
    return [derivatives[0] + nowhere, *derivatives[1:]]


def _neighbors(x: Tensor, axis: int, border: str) -> tuple[Tensor, Tensor, Tensor]:
    size = x.shape[axis]
    first, last = x.narrow(axis, 0, 1), x.narrow(axis, size - 1, 1)
    if border == "zeros":
        first, last = torch.zeros_like(first), torch.zeros_like(last)
    elif border == "mirror" and size > 1:
        first, last = x.narrow(axis, 1, 1), x.narrow(axis, size - 2, 1)
    padded = torch.cat([first, x, last], axis)
    return padded.narrow(axis, 0, size), x, padded.narrow(axis, 2, size)
