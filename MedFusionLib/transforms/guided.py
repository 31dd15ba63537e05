"""Guided filter (He, Sun, Tang 2013, doi 10.1109/TPAMI.2012.213): smooth an image along the edges of another."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from MedFusionLib.transforms.window import box_mean


def guided_filter(image: Tensor, guide: Tensor, radius: int, eps: float, axes: Sequence[int]) -> Tensor:
    """Filter `image` so that its edges follow `guide`'s; float64, as the small variances need."""
    guide = guide.double()
    mean_guide, mean_image = box_mean(guide, radius, axes), box_mean(image, radius, axes)
    variance = box_mean(guide**2, radius, axes) - mean_guide**2
    slope = (box_mean(guide * image, radius, axes) - mean_guide * mean_image) / (variance + eps)
    offset = mean_image - slope * mean_guide
    return box_mean(slope, radius, axes) * guide + box_mean(offset, radius, axes)
