"""What VIF knows of each scale: how much of a source's texture the fused image carries, and how noisily.

Locally, fused = gain * source + distortion; information is the logarithm of signal over noise of the visual system.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from MedFusionLib.metrics._domain import axes_of
from MedFusionLib.metrics._windows import Taps, centers, gaussian_window, windowed

SMALLEST = 41
"""Voxels along an axis that four scales of windows need."""

_FLAT = 1e-10
"""Variances below this are none: smoothed backgrounds of 1e-8 do count, by the published rule."""

_WIDTHS = (17, 9, 5, 3)


def scales(
    fused: Tensor, sources: Tensor, mask: Tensor | None, spacing: Sequence[float] | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Taps]]:
    """Fused, sources, the mask at the centers of windows, and the windows, at four scales.

    Only axes at most twice as coarse as the finest take part, with enough voxels; along others nothing is smoothed or
    left out.
    """
    steps = spacing or [1.0] * (fused.ndim - 2)
    taking = [step <= 2 * min(steps) and size >= SMALLEST for step, size in zip(steps, fused.shape[2:], strict=True)]
    for width in _WIDTHS:
        (gaussian,) = gaussian_window(1, sigma=width / 5, radius=width // 2)
        window = [gaussian if takes else [1.0] for takes in taking]
        if width != _WIDTHS[0]:
            fused, sources = (
                _every_other(windowed(fused, window), taking),
                _every_other(windowed(sources, window), taking),
            )
            inside = centers(mask, window)
            mask = None if inside is None else _every_other(inside, taking)
        yield fused, sources, centers(mask, window), window


def transferred(fused: Tensor, sources: Tensor, window: Taps) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of each source: gain and variance of the distortion in each window, and its variance, (B, 1, *S') each."""
    fused = _above_darkest(fused)
    fused_mean = windowed(fused, window)
    fused_variance = _variance(fused, fused_mean, window)
    for source in map(_above_darkest, sources.split(1, 1)):
        mean = windowed(source, window)
        variance = _variance(source, mean, window)
        follows = windowed(fused * source, window) - fused_mean * mean
        follows = follows.clamp(min=0) * ((variance > 0) & (fused_variance > 0))
        gain = follows / (variance + _FLAT)
        yield gain, (fused_variance - gain * follows).clamp(min=0), variance


def information(signal: Tensor, noise: Tensor | float) -> Tensor:
    """What a signal of this variance carries through this noise (in bels, which only floors can tell from bits)."""
    return torch.log1p(signal / noise) / math.log(10)


def _every_other(x: Tensor, axes: Sequence[bool]) -> Tensor:
    for axis, takes in enumerate(axes, 2):
        x = x[(slice(None),) * axis + (slice(None, None, 2),)] if takes else x
    return x


def _above_darkest(x: Tensor) -> Tensor:
    """With the darkest voxel at 0: constant images and black backgrounds get no variance, not even from rounding."""
    return x - x.detach().amin(axes_of(x), keepdim=True)


def _variance(x: Tensor, mean: Tensor, window: Taps) -> Tensor:
    variance = windowed(x * x, window) - mean * mean
    return variance * (variance > _FLAT)
