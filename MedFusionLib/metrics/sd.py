"""SD: standard deviation of the fused image, a measure of contrast whether it was in the sources or not."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="SD",
    family="statistics",
    direction="up",
    range=(0.0, 127.5),
    identical="the image's own",
    flat=0.0,
    unit="gray levels",
    reference="textbook definition, divided by n",
    gamed_by=("noise", "contrast"),
)
def sd(fused, sources, *, mask=None):
    """Standard deviation, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: not looked at.
        mask: (B, 1, *S), the voxels that count.
    """
    from MedFusionLib.metrics._statistics import root, variance

    return root(variance(fused, mask))[:, 0]
