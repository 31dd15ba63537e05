"""Q (Petrović): share of the sources' edges that the fused image preserves; with Labf and Nabf it sums to 1."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="Q (Petrović)",
    family="edge",
    direction="up",
    range=(0.0, 1.0),
    identical="just below 1",
    flat="about 0",
    pool="weighted",
    reference="Petrović, Xydeas 2005, ICCV, 1866",
)
def q_petrovic(fused, sources, *, mask=None, spacing=None):
    """Edge preservation of each source and its weight, (B, K) both.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where edges count.
        spacing: voxel size along each axis.
    """
    from MedFusionLib.metrics._petrovic import shares

    edges = shares(fused, sources, mask, spacing)
    return edges.preserved / edges.weight, edges.weight
