"""RMSE: root mean squared difference to the sources; the average of the sources is its best image."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="RMSE",
    family="statistics",
    direction="down",
    range=(0.0, 255.0),
    identical=0.0,
    flat="large",
    unit="gray levels",
    reference="textbook definition",
    gamed_by=("contrast", "blur"),
)
def rmse(fused, sources, *, mask=None):
    """Root of the squared difference's mean over voxels and sources, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), the voxels that count.
    """
    from MedFusionLib.metrics._domain import mean
    from MedFusionLib.metrics._statistics import root

    return root(mean((fused - sources) ** 2, mask).mean(1))
