"""Q_CB: how much of the sources' local contrast, as the eye perceives it, is found in the fused image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

_RADIUS = 15
_CENTER, _SURROUND = 2.0, 4.0
_MASKING = 1e-4
_SURE = 1e-3
"""Local means below this, in gray levels, are no more than ripples of the filter."""


@metric(
    title="Q_CB",
    family="perception",
    direction="up",
    range=(0.0, 1.0),
    identical=1.0,
    flat="small",
    dims=(2,),
    reference="Chen, Blum 2009, doi:10.1016/j.imavis.2007.12.002",
    undefined="no source has contrast",
    gamed_by=("contrast", "copy"),
    # On black, contrast is the ratio of two ripples of the filter: rounding decides it, 1e-6 of the score.
    tolerance=5e-6,
)
def q_cb(fused, sources, *, mask=None):
    """Mean share of the sources' contrast that is preserved, (B,); at each voxel strong contrast counts more.

    Contrast is a ratio of means: it does not see that the whole image is darker.

    Args:
        fused: (B, 1, H, W) in gray levels.
        sources: (B, K, H, W) in gray levels.
        mask: (B, 1, H, W), where contrast counts.
    """
    import torch

    from MedFusionLib.metrics._domain import divided, total
    from MedFusionLib.metrics._precision import widened

    wide_fused, wide_sources = widened(fused, sources)
    f = _contrast(wide_fused)
    quality, weight = torch.zeros_like(f), torch.zeros_like(f)
    for source in wide_sources.split(1, 1):
        s = _contrast(source)
        quality = quality + s * s * divided(torch.minimum(f, s), torch.maximum(f, s))
        weight = weight + s * s
    live = weight > 0 if mask is None else (weight > 0) & mask
    number = live.sum((2, 3)).to(f.dtype)
    return divided(total(divided(quality, weight), live), number, math.nan)[:, 0].to(fused.dtype)


def _contrast(x: Tensor) -> Tensor:
    """Contrast of a small neighborhood against a larger one, after masking."""
    import torch

    from MedFusionLib.metrics._csf import cycles, passed
    from MedFusionLib.metrics._domain import divided

    r = cycles(x, degrees=15)
    seen = passed(x, (-((r / 15.3870) ** 2)).exp() - 0.7622 * (-((r / 1.3456) ** 2)).exp())
    center, surround = _blurred(seen, _CENTER), _blurred(seen, _SURROUND)
    # Gradients stop where the ratio is one of ripples: they would drown all others.
    sure = surround.abs() > _SURE
    center, surround = torch.where(sure, center, center.detach()), torch.where(sure, surround, surround.detach())
    contrast = (divided(center, surround, 1) - 1).abs()
    return contrast**3 / (contrast**2 + _MASKING)


def _blurred(x: Tensor, sigma: float) -> Tensor:
    """Gaussian mean with zeros beyond the frame, the weights not scaled to sum 1: as published."""
    import torch

    from MedFusionLib.metrics._windows import windowed

    density = 1 / (math.sqrt(2 * math.pi) * sigma)
    taps = [density * math.exp(-0.5 * (n / sigma) ** 2) for n in range(-_RADIUS, _RADIUS + 1)]
    return windowed(torch.nn.functional.pad(x, [_RADIUS] * 4), [taps, taps])
