"""Where a metric looks and what it may be given: masks, means over them, checks of the input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from MedFusionLib.errors import DataError

if TYPE_CHECKING:
    from MedFusionLib.registry import Metric

LEVELS = 255.0
"""Metrics are written in gray levels, 0 to 255: the constants of SSIM, VIF and others are."""

FLAT = 1e-6
"""Variances below this, in gray levels squared, are rounding and count as 0 (float64)."""


def fits(metric: Metric, fused: Tensor, spacing: Sequence[float] | None = None) -> bool:
    """Whether the metric's windows fit the image; along coarse axes they have fewer voxels."""
    steps = spacing or [1.0] * (fused.ndim - 2)
    need = [min(metric.smallest, 2 * math.ceil(metric.smallest / 2 * min(steps) / step) + 1) for step in steps]
    return all(size >= least for size, least in zip(fused.shape[2:], need, strict=True))


def check(
    metric: Metric, fused: Tensor, sources: Tensor, mask: Tensor | None, spacing: Sequence[float] | None = None
) -> None:
    """See that a metric can score these images.

    Raises:
        DataError: on shapes that do not match, values that are no numbers, images too small, an empty mask.
    """
    asked = f"Images for {metric.title}"
    batch, *size = fused.shape[:1] + fused.shape[2:]
    same = sources.ndim == fused.ndim and [sources.shape[0], *sources.shape[2:]] == [batch, *size]
    if fused.ndim - 2 not in metric.dims or fused.shape[1] != 1 or not same or sources.shape[1] < 1:
        able = " or ".join("(H, W)" if n == 2 else "(D, H, W)" for n in metric.dims)
        raise DataError(
            asked,
            found=f"fused {tuple(fused.shape)}, sources {tuple(sources.shape)}",
            accepted=f"fused (B, 1, *S) and sources (B, K, *S) of one size S = {able}",
            fix="Put them on one grid first",
        )
    if not fits(metric, fused, spacing):
        raise DataError(
            asked, found=" x ".join(map(str, size)), accepted=f"at least {metric.smallest} voxels along each axis"
        )
    if not (torch.isfinite(fused).all() and torch.isfinite(sources).all()):
        raise DataError(asked, found="NaN or infinite values", accepted="numbers in [0, 1]")
    if mask is not None and (mask.dtype != torch.bool or mask.shape != fused.shape):
        raise DataError(asked, found=f"mask {tuple(mask.shape)} of {mask.dtype}", accepted="bool (B, 1, *S)")
    if mask is not None and not mask.flatten(1).any(1).all():
        fix = "Score the whole image"
        raise DataError(asked, found="a mask without a voxel", accepted="a mask with at least one", fix=fix)


def axes_of(x: Tensor) -> tuple[int, ...]:
    """The axes of S in (B, C, *S)."""
    return tuple(range(2, x.ndim))


def total(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C) sums of (B, C, *S) over the mask (B, 1, *S)."""
    return (values if mask is None else values * mask).sum(axes_of(values))


def count(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, 1) voxels of the mask, or of the image where there is none."""
    if mask is None:
        return values.new_full((values.shape[0], 1), values[0, 0].numel())
    return mask.sum(axes_of(mask)).to(values.dtype)


def mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C) means of (B, C, *S) over the mask; NaN where the mask is empty."""
    return total(values, mask) / count(values, mask)


def divided(above: Tensor, below: Tensor, otherwise: float = 0.0) -> Tensor:
    """Quotient where the divisor is not 0, `otherwise` elsewhere; gradients stay finite."""
    live = below != 0
    return torch.where(live, above / torch.where(live, below, 1), otherwise)


def cropped(mask: Tensor | None, margins: Sequence[int]) -> Tensor | None:
    """The mask where a window of these radii (an axis each) fits the image."""
    if mask is None:
        return None
    for axis, margin in zip(axes_of(mask), margins, strict=True):
        mask = mask.narrow(axis, margin, mask.shape[axis] - 2 * margin)
    return mask
