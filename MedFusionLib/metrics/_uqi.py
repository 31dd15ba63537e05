"""Wang and Bovik's quality index of each source in each window, and what Piella, Cvejic and Yang make of it."""

from __future__ import annotations

import torch
from torch import Tensor

from MedFusionLib.metrics._domain import FLAT, divided, total
from MedFusionLib.metrics._windows import Moments, Taps, moments


def quality(m: Moments) -> Tensor:
    """(B, K, *S') luminance times structure; a flat patch has the structure of another flat one and of nothing else."""
    luminance = divided(2 * m.fused_mean * m.source_mean, m.fused_mean**2 + m.source_mean**2, 1.0)
    return luminance * divided(2 * covariance(m), m.fused_variance + m.source_variance, 1.0)


def covariance(m: Moments) -> Tensor:
    """Covariance of each source with the fused image; 0, not rounding, where one of them is flat."""
    return torch.where((m.fused_variance > 0) & (m.source_variance > 0), m.covariance, 0)


def shares(saliency: Tensor) -> Tensor:
    """(B, K, *S') saliency of each source as shares of 1, equal ones where there is none."""
    return divided(saliency, saliency.sum(1, keepdim=True), 1 / saliency.shape[1])


def counted(m: Moments) -> Tensor | None:
    """The windows that count: all of the image, but of a mask those that are not the same flat patch everywhere."""
    if m.mask is None:
        return None
    flat = (m.fused_variance == 0) & (m.source_variance == 0)
    equal = (m.fused_mean - m.source_mean) ** 2 < FLAT
    return m.mask & ~(flat & equal).all(1, keepdim=True)


def weighted_quality(fused: Tensor, sources: Tensor, window: Taps, mask: Tensor | None) -> Tensor:
    """(B,) Q_W of Piella and Heijmans: the more variance a window has in a source, the more it counts."""
    m = moments(fused, sources, window, mask)
    joint = (shares(m.source_variance) * quality(m)).sum(1, keepdim=True)
    strongest = m.source_variance.amax(1, keepdim=True)
    # A window without texture counts as little as a share of it does: next to nothing, unless there is no other.
    weight = torch.where(strongest > 0, strongest, 1 / sources.shape[1])
    inside = counted(m)
    return divided(total(joint * weight, inside), total(weight, inside), torch.nan)[:, 0]
