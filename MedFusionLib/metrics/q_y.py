"""Q_Y of Yang: quality index of small windows, of both sources where they agree, else of the one better kept."""

from __future__ import annotations

from MedFusionLib.registry import metric

_ALIKE = 0.75
"""Sources at least as similar as this are both to be kept."""


@metric(
    title="Q_Y (Yang)",
    family="structure",
    direction="up",
    range=(-1.0, 1.0),
    identical=1.0,
    flat="0 where the sources have texture",
    smallest=7,
    reference="Yang, Zhang, Wang, Liu 2008",
    undefined="no window of the mask fits the image, or all show one flat patch",
    gamed_by=("copy",),
)
def q_y(fused, sources, *, mask=None, spacing=None):
    """Mean quality index in 7 x 7 Gaussian windows, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers; the same flat patch everywhere does not count there.
        spacing: voxel size along each axis.
    """
    import torch

    from MedFusionLib.metrics._domain import mean
    from MedFusionLib.metrics._uqi import counted, quality, shares
    from MedFusionLib.metrics._windows import gaussian_window, moments

    window = gaussian_window(fused.ndim - 2, spacing, radius=3)
    m = moments(fused, sources, window, mask)
    of_each = quality(m)
    alike = torch.ones_like(m.fused_mean, dtype=torch.bool)
    for first in range(sources.shape[1] - 1):
        others = moments(sources[:, first : first + 1], sources[:, first + 1 :], window)
        alike = alike & (quality(others) >= _ALIKE).all(1, keepdim=True)
    together = (shares(m.source_variance) * of_each).sum(1, keepdim=True)
    return mean(torch.where(alike, together, of_each.amax(1, keepdim=True)), counted(m))[:, 0]
