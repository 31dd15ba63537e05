"""Q_W of Piella: quality index of small windows, those with much texture in a source counting more."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="Q_W (Piella)",
    family="structure",
    direction="up",
    range=(-1.0, 1.0),
    identical=1.0,
    flat="0 where the sources have texture",
    smallest=8,
    reference="Piella, Heijmans 2003, doi:10.1109/ICIP.2003.1247209",
    undefined="no window of the mask fits the image, or all show one flat patch",
)
def q_w(fused, sources, *, mask=None, spacing=None):
    """Saliency-weighted mean of the quality index in 8 x 8 windows, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers; the same flat patch everywhere does not count there.
        spacing: voxel size along each axis.
    """
    from MedFusionLib.metrics._uqi import weighted_quality
    from MedFusionLib.metrics._windows import box_window

    return weighted_quality(fused, sources, box_window(fused.ndim - 2, 8, spacing), mask)
