"""CC: linear correlation of the fused image with each source; the average of the sources is its best image."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="CC",
    family="statistics",
    direction="up",
    range=(-1.0, 1.0),
    identical=1.0,
    flat=0.0,
    pool="mean",
    reference="textbook definition (Pearson)",
    undefined="all sources are constant",
    gamed_by=("contrast", "blur"),
)
def cc(fused, sources, *, mask=None):
    """Pearson's correlation with each source, (B, K); a constant source has none.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), the voxels that count.
    """
    from MedFusionLib.metrics._statistics import correlation

    return correlation(fused, sources, mask)
