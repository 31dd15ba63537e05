"""Linear blend as in a viewer: 0 shows the first source only, 1 the others only."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Range
from MedFusionLib.registry import method


@method(
    title="Weighted blend",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="3D Slicer's foreground opacity",
    workspace=1.5,
)
def weighted(sources, *, weight: Annotated[float, Range(0, 1)] = 0.5):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    Args:
        sources: harmonized images.
        weight: share of the second source; more than two sources share it equally.
    """
    return (1 - weight) * sources[:, :1] + weight * sources[:, 1:].mean(1, keepdim=True)
