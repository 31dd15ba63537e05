"""SCD: what is left of the fused image without the other sources, correlated with each; contrast raises it."""

from __future__ import annotations

import math

from MedFusionLib.registry import metric


@metric(
    title="SCD",
    family="statistics",
    direction="up",
    range=(None, None),
    identical="undefined for two sources",
    flat="about 0",
    reference="Aslantas, Bendes 2015, doi:10.1016/j.aeue.2015.09.004",
    undefined="a source is constant, or the fused image is the sum of the others for each of them",
    gamed_by=("contrast",),
)
def scd(fused, sources, *, mask=None):
    """Sum over sources of the correlation with the fused image less all others, (B,), from -K to K.

    A difference without variation correlates with nothing: 0, unless that holds for all of them.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), the voxels that count.
    """
    import torch

    from MedFusionLib.metrics._domain import FLAT
    from MedFusionLib.metrics._statistics import correlation, variance

    left = fused - sources.sum(1, keepdim=True) + sources
    nothing = (variance(left, mask) <= FLAT).all(1)
    return torch.where(nothing, math.nan, correlation(left, sources, mask).sum(1))
