"""L^AB/F: share of the sources' edges that the fused image loses; with Q (Petrović) and Nabf it sums to 1."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="L^AB/F",
    family="edge",
    direction="down",
    range=(0.0, 1.0),
    identical="just above 0",
    flat="about 1",
    reference="Petrović, Xydeas 2005, ICCV, 1866; Shreyamsha Kumar 2013, SIViP 7:1125",
    gamed_by=("contrast",),
    differentiable=False,
)
def labf(fused, sources, *, mask=None, spacing=None):
    """Lost share of all sources' edges, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where edges count.
        spacing: voxel size along each axis.
    """
    from MedFusionLib.metrics._petrovic import shares

    edges = shares(fused, sources, mask, spacing)
    return edges.joint(edges.lost)
