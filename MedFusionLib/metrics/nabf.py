"""N^AB/F: edges of the fused image that no source has; blurring or dimming lowers it, so look at Q^AB/F as well."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="N^AB/F",
    family="edge",
    direction="down",
    range=(0.0, 1.0),
    identical=0.0,
    flat=0.0,
    reference="Shreyamsha Kumar 2013, SIViP 7:1125",
    gamed_by=("contrast", "blur", "copy"),
    differentiable=False,
)
def nabf(fused, sources, *, mask=None, spacing=None):
    """Share of artifacts, as measured by the sources' edges, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where edges count.
        spacing: voxel size along each axis.
    """
    from MedFusionLib.metrics._petrovic import shares

    edges = shares(fused, sources, mask, spacing)
    return edges.joint(edges.added)
