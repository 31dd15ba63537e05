"""Q_NCIE: how far fused image and sources depend on each other all together; ranks as MI does."""

from __future__ import annotations

from MedFusionLib.registry import metric

_LARGEST = 8.0
"""Bits of 256 gray levels, all as frequent: entropies are divided by it."""


@metric(
    title="Q_NCIE",
    family="dependence",
    direction="up",
    range=(0.0, 1.0),
    identical="0.8 to 1, by the image's entropy",
    flat="0.80 for two sources",
    reference="Wang, Shen, Zhang 2005, Physica D 200:287",
    gamed_by=("blur", "copy"),
    differentiable=False,
)
def ncie(fused, sources, *, mask=None):
    """Nonlinear correlation information entropy, (B,): 1 - log_256(K + 1), 0.802 for two sources, is no dependence.

    Args:
        fused: (B, 1, *S) in gray levels; rounded to whole ones.
        sources: (B, K, *S) in gray levels; rounded likewise.
        mask: (B, 1, *S), the voxels that are counted, in 64 bins if they are few.
    """
    import torch

    from MedFusionLib.metrics._histograms import entropy, joint_histogram, mutual_information

    images = torch.cat([sources, fused], 1)
    size = images.shape[1]
    related = torch.eye(size, dtype=images.dtype, device=images.device).repeat(images.shape[0], 1, 1)
    for n in range(size - 1):
        with_later = mutual_information(joint_histogram(images[:, n : n + 1], images[:, n + 1 :], mask)) / _LARGEST
        related[:, n, n + 1 :] = with_later
        related[:, n + 1 :, n] = with_later
    # If all depend on all, one eigenvalue is K + 1 and the others 0; rounding may take them below.
    return 1 - entropy(torch.linalg.eigvalsh(related).clamp(min=0) / size) / _LARGEST
