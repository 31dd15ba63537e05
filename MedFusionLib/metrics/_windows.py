"""Local means, variances and covariances in Gaussian or box windows that fit the image (no padding).

In 3-D a window is as large in millimeters along each axis: METRICS' 11 voxels and sigma 1.5 hold for the finest axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from MedFusionLib.metrics._domain import FLAT, axes_of

Spacing = Sequence[float] | None
Taps = list[list[float]]


def gaussian_window(ndim: int, spacing: Spacing = None, sigma: float = 1.5, radius: int = 5) -> Taps:
    """Weights along each axis, sigma in voxels of the finest; along the others cut off at three sigma."""
    fine = min(spacing) if spacing else 1.0
    taps = []
    for step in spacing or [1.0] * ndim:
        reach = radius if step == fine else min(radius, math.ceil(3 * sigma * fine / step))
        weights = [math.exp(-0.5 * (n * step / (sigma * fine)) ** 2) for n in range(-reach, reach + 1)]
        taps.append([weight / sum(weights) for weight in weights])
    return taps


def box_window(ndim: int, size: int, spacing: Spacing = None) -> Taps:
    """Equal weights over `size` voxels of the finest axis, fewer along coarser ones."""
    fine = min(spacing) if spacing else 1.0
    widths = [max(1, round(size * fine / step)) for step in spacing or [1.0] * ndim]
    return [[1 / width] * width for width in widths]


def windowed(x: Tensor, window: Taps) -> Tensor:
    """Weighted mean of (B, C, *S) over each window that fits: S shrinks by the window's size less one."""
    for axis, taps in zip(axes_of(x), window, strict=True):
        size = x.shape[axis] - len(taps) + 1
        mean = x.narrow(axis, 0, size) * taps[0]
        for offset, tap in enumerate(taps[1:], 1):
            mean = mean.add_(x.narrow(axis, offset, size), alpha=tap)
        x = mean
    return x


@dataclass(frozen=True)
class Moments:
    """Local moments: fused (B, 1, *S'), sources and covariance (B, K, *S'), the mask at the windows' centers."""

    fused_mean: Tensor
    source_mean: Tensor
    fused_variance: Tensor
    source_variance: Tensor
    covariance: Tensor
    mask: Tensor | None


def moments(fused: Tensor, sources: Tensor, window: Taps, mask: Tensor | None = None) -> Moments:
    """Means, variances and covariances in every window; variances that are only rounding are 0."""
    fused_mean, source_mean = windowed(fused, window), windowed(sources, window)
    return Moments(
        fused_mean,
        source_mean,
        _live(windowed(fused * fused, window), fused_mean),
        _live(windowed(sources * sources, window), source_mean),
        windowed(fused * sources, window) - fused_mean * source_mean,
        centers(mask, window),
    )


def centers(mask: Tensor | None, window: Taps) -> Tensor | None:
    """The mask where a window fits; the center of an even one is the voxel after its middle."""
    if mask is None:
        return None
    for axis, taps in zip(axes_of(mask), window, strict=True):
        mask = mask.narrow(axis, len(taps) // 2, mask.shape[axis] - len(taps) + 1)
    return mask


def _live(squares: Tensor, mean: Tensor) -> Tensor:
    """The variance where it is more than rounding: in float32 that of bright voxels is larger than `FLAT`."""
    power = mean * mean
    variance = squares - power
    return variance * (variance > (8 * torch.finfo(mean.dtype).eps * power).clamp(min=FLAT))
