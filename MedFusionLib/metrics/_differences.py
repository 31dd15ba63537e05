"""Differences of neighboring voxels and their mean squares, the stuff of spatial frequencies."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from MedFusionLib.metrics._domain import axes_of


def difference(x: Tensor, offset: Sequence[int]) -> Tensor:
    """The neighbor at this offset less the voxel, (B, C, *S'), where the image has both."""
    first, second = _ends(x, offset)
    return second - first


def pairs(mask: Tensor | None, offset: Sequence[int]) -> Tensor | None:
    """Where the mask has both the voxel and its neighbor."""
    if mask is None:
        return None
    first, second = _ends(mask, offset)
    return first & second


def _ends(x: Tensor, offset: Sequence[int]) -> tuple[Tensor, Tensor]:
    first = second = x
    for axis, step in zip(axes_of(x), offset, strict=True):
        size = x.shape[axis] - abs(step)
        first = first.narrow(axis, max(-step, 0), size)
        second = second.narrow(axis, max(step, 0), size)
    return first, second
