"""The mean of the sources: the baseline that keeps everything at reduced contrast."""

from __future__ import annotations

from MedFusionLib.registry import method


@method(
    title="Average",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="baseline",
    workspace=1.0,
)
def average(sources):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    Args:
        sources: harmonized images.
    """
    return sources.mean(1, keepdim=True)
