"""The brightest source at each voxel: strong on the usual scores, yet bright bone buries soft tissue."""

from __future__ import annotations

from MedFusionLib.registry import method


@method(
    title="Maximum",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="baseline",
    workspace=1.0,
    keeps_lone=True,
)
def maximum(sources):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    Args:
        sources: harmonized images.
    """
    return sources.amax(1, keepdim=True)
