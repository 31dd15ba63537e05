"""Q_S of Piella: quality index of small windows, of the source that varies more there."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="Q_S (Piella)",
    family="structure",
    direction="up",
    range=(-1.0, 1.0),
    identical=1.0,
    flat="0 where the sources have texture",
    smallest=8,
    reference="Piella, Heijmans 2003, doi:10.1109/ICIP.2003.1247209",
    undefined="no window of the mask fits the image, or all show one flat patch",
    gamed_by=("contrast",),
)
def q_s(fused, sources, *, mask=None, spacing=None):
    """Mean quality index in 8 x 8 windows, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers; the same flat patch everywhere does not count there.
        spacing: voxel size along each axis.
    """
    from MedFusionLib.metrics._domain import mean
    from MedFusionLib.metrics._uqi import counted, quality, shares
    from MedFusionLib.metrics._windows import box_window, moments

    m = moments(fused, sources, box_window(fused.ndim - 2, 8, spacing), mask)
    joint = (shares(m.source_variance) * quality(m)).sum(1, keepdim=True)
    return mean(joint, counted(m))[:, 0]
