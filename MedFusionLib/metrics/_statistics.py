"""Variance and correlation over a mask, with gradients that stay finite where nothing varies."""

from __future__ import annotations

import torch
from torch import Tensor

from MedFusionLib.metrics._domain import FLAT, axes_of, mean


def root(x: Tensor) -> Tensor:
    """Square root; its gradient is 0, not infinite, at 0."""
    live = x > 0
    return torch.where(live, torch.where(live, x, 1).sqrt(), 0)


def centered(x: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C, *S) less its mean over the mask."""
    return x - mean(x, mask).reshape(*x.shape[:2], *[1] * len(axes_of(x)))


def variance(x: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C) of (B, C, *S) over the mask, divided by the number of voxels."""
    return mean(centered(x, mask) ** 2, mask)


def correlation(x: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
    """Pearson's of x and source, both (B, C, *S): 0 if x is constant, NaN if the source is."""
    x, source = centered(x, mask), centered(source, mask)
    variances = mean(x * x, mask), mean(source * source, mask)
    flat, empty = (v <= FLAT for v in variances)
    # Two roots: the product of small variances would lose digits in float32.
    below = [root(torch.where(nothing, 1, v)) for v, nothing in zip(variances, (flat, empty), strict=True)]
    value = torch.where(flat, 0, mean(x * source, mask) / (below[0] * below[1]))
    return torch.where(empty, torch.nan, value)
