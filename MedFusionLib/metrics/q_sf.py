"""Q_SF: spatial frequency against the sharpest source at each voxel; below 0 detail is lost, above 0 it is noise."""

from __future__ import annotations

import itertools
import math

from MedFusionLib.registry import metric


@metric(
    title="Q_SF",
    family="edge",
    direction="zero",
    range=(-1.0, None),
    identical=0.0,
    flat=-1.0,
    smallest=2,
    reference="Zheng, Essock, Hansen, Haun 2007, Information Fusion 8:177",
    undefined="all sources are constant",
    gamed_by=("noise", "contrast", "copy"),
)
def q_sf(fused, sources, *, mask=None, spacing=None):
    """Relative error of the spatial frequency in 4 directions (13 in volumes), (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S); neighbors count where both are inside.
        spacing: voxel size along each axis; a direction counts by one over its length.
    """
    from MedFusionLib.metrics._differences import difference, pairs
    from MedFusionLib.metrics._domain import divided, total
    from MedFusionLib.metrics._statistics import root

    fine = min(spacing) if spacing else 1.0
    steps = [step / fine for step in spacing] if spacing else [1.0] * (fused.ndim - 2)
    found = sharpest = fused.new_zeros(fused.shape[0], 1)
    for offset in _directions(len(steps)):
        weight = 1 / math.hypot(*(o * step for o, step in zip(offset, steps, strict=True)))
        both = pairs(mask, offset)
        reference = difference(sources, offset).abs().amax(1, keepdim=True)
        # No division by the number of pairs, the same above and below.
        found = found + weight * total(difference(fused, offset) ** 2, both)
        sharpest = sharpest + weight * total(reference**2, both)
    sharpest = root(sharpest)
    return divided(root(found) - sharpest, sharpest, math.nan)[:, 0]


def _directions(ndim: int) -> list[tuple[int, ...]]:
    """One of each two opposite neighbors."""
    zero = (0,) * ndim
    return [offset for offset in itertools.product((-1, 0, 1), repeat=ndim) if offset > zero]
