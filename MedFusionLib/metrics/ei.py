"""EI: edge intensity, the mean strength of the fused image's edges; noise is edges to it."""

from __future__ import annotations

from MedFusionLib.registry import metric

_SOBEL = 8.0
"""The mask of the published values is not scaled: a ramp of one level a voxel has 8."""


@metric(
    title="EI",
    family="statistics",
    direction="up",
    range=(0.0, None),
    identical="the image's own",
    flat=0.0,
    unit="gray levels",
    reference="in common use, after Sobel",
    gamed_by=("noise", "contrast"),
)
def ei(fused, sources, *, mask=None, spacing=None):
    """Mean Sobel gradient, (B,), on the scale of the 2-D mask in volumes too.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: not looked at.
        mask: (B, 1, *S), the voxels that count.
        spacing: voxel size along each axis; derivatives are by the finest.
    """
    from MedFusionLib.metrics._domain import mean
    from MedFusionLib.metrics._gradients import magnitude, sobel

    return _SOBEL * mean(magnitude(sobel(fused, spacing)), mask)[:, 0]
