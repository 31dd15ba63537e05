"""PSNR: the mean squared difference to the sources in decibels; the average of the sources is its best image."""

from __future__ import annotations

import math

from MedFusionLib.registry import metric


@metric(
    title="PSNR",
    family="statistics",
    direction="up",
    range=(0.0, None),
    identical=math.inf,
    flat="small",
    unit="dB",
    reference="textbook definition",
    gamed_by=("contrast", "blur"),
)
def psnr(fused, sources, *, mask=None):
    """10 log10 of 255 squared over the squared difference's mean over voxels and sources, (B,); inf if there is none.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), the voxels that count.
    """
    import torch

    from MedFusionLib.metrics._domain import LEVELS, mean

    error = mean((fused - sources) ** 2, mask).mean(1)
    live = error > 0
    return torch.where(live, 10 * (LEVELS**2 / torch.where(live, error, 1)).log10(), math.inf)
