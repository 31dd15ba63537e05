"""DF: definition, the average gradient by differences to the next voxel; sharpness, and noise even more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor


@metric(
    title="DF",
    family="statistics",
    direction="up",
    range=(0.0, None),
    identical="the image's own",
    flat=0.0,
    unit="gray levels",
    smallest=2,
    reference="in common use, origin unknown",
    undefined="no voxel of the mask has the next one along each axis in it",
    gamed_by=("noise", "contrast"),
)
def df(fused, sources, *, mask=None, spacing=None):
    """Mean over voxels of the root mean square of the differences along each axis, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: not looked at.
        mask: (B, 1, *S); a voxel counts where the next one along each axis is inside too.
        spacing: voxel size along each axis; differences are by the finest, and coarser axes count less.
    """
    from MedFusionLib.metrics._domain import axes_of, mean
    from MedFusionLib.metrics._gradients import magnitude

    axes = axes_of(fused)
    scales = [min(spacing) / step for step in spacing] if spacing else [1.0] * len(axes)
    changes = [(_corner(fused, axis) - _corner(fused)) * scale for axis, scale in zip(axes, scales, strict=True)]
    inside = None if mask is None else math.prod([_corner(mask, axis) for axis in axes], start=_corner(mask))
    # As many axes as there are in effect: 2 in slices far apart, 3 in a volume of cubes.
    return mean(magnitude(changes), inside)[:, 0] / math.hypot(*scales)


def _corner(x: Tensor, moved: int | None = None) -> Tensor:
    """All voxels that have a next one along each axis, or their next ones along one of them."""
    for axis in range(2, x.ndim):
        x = x.narrow(axis, int(axis == moved), x.shape[axis] - 1)
    return x
