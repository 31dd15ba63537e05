"""SF: spatial frequency, the root mean square difference of neighbors; noise is the sharpest of all images to it."""

from __future__ import annotations

import math

from MedFusionLib.registry import metric


@metric(
    title="SF",
    family="statistics",
    direction="up",
    range=(0.0, None),
    identical="the image's own",
    flat=0.0,
    unit="gray levels",
    smallest=2,
    reference="Eskicioglu, Fisher 1995, doi:10.1109/26.477498",
    undefined="no two voxels of the mask are neighbors",
    gamed_by=("noise", "contrast", "copy"),
)
def sf(fused, sources, *, mask=None, spacing=None):
    """Spatial frequency over all axes, (B,); each axis' differences are averaged over their own number.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: not looked at.
        mask: (B, 1, *S); neighbors count where both are inside.
        spacing: voxel size along each axis; differences are by the finest.
    """
    import torch

    from MedFusionLib.metrics._differences import difference, pairs
    from MedFusionLib.metrics._domain import count, divided, total
    from MedFusionLib.metrics._statistics import root

    ndim = fused.ndim - 2
    fine = min(spacing) if spacing else 1.0
    squared = known = fused.new_zeros(fused.shape[0], 1)
    for axis in range(ndim):
        offset = [int(axis == other) for other in range(ndim)]
        both = pairs(mask, offset)
        change = difference(fused, offset) * (fine / spacing[axis] if spacing else 1.0)
        number = count(change, both)
        squared = squared + divided(total(change * change, both), number)
        known = known + number
    return torch.where(known > 0, root(squared), math.nan)[:, 0]
