"""MSE: mean squared difference to each source; the average of the sources is its best image."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="MSE",
    family="statistics",
    direction="down",
    range=(0.0, 65025.0),
    identical=0.0,
    flat="large",
    unit="gray levels squared",
    pool="mean",
    reference="textbook definition",
    gamed_by=("contrast", "blur"),
)
def mse(fused, sources, *, mask=None):
    """Mean squared difference to each source, (B, K).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), the voxels that count.
    """
    from MedFusionLib.metrics._domain import mean

    return mean((fused - sources) ** 2, mask)
