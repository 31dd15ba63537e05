"""Q_C of Cvejic: quality index of small windows, of the source that the fused image follows there."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="Q_C (Cvejic)",
    family="structure",
    direction="up",
    range=(-1.0, 1.0),
    identical=1.0,
    flat="0 where the sources have texture",
    smallest=7,
    reference="Cvejic, Loza, Bull, Canagarajah 2006",
    undefined="no window of the mask fits the image, or all show one flat patch",
    gamed_by=("copy",),
)
def q_c(fused, sources, *, mask=None, spacing=None):
    """Mean quality index in 7 x 7 Gaussian windows, each source's share that of its covariance with F, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers; the same flat patch everywhere does not count there.
        spacing: voxel size along each axis.
    """
    from MedFusionLib.metrics._domain import divided, mean
    from MedFusionLib.metrics._uqi import counted, covariance, quality, shares
    from MedFusionLib.metrics._windows import gaussian_window, moments

    m = moments(fused, sources, gaussian_window(fused.ndim - 2, spacing, radius=3), mask)
    follows = covariance(m)
    # Sources that F goes against make quotients below 0 or above 1; the second sum makes shares of more than two.
    clipped = divided(follows, follows.sum(1, keepdim=True)).clamp(0, 1)
    joint = (shares(clipped) * quality(m)).sum(1, keepdim=True)
    return mean(joint, counted(m))[:, 0]
