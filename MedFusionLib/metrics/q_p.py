"""Q_P: local correlation of the fused image's phase congruency, edges and corners, with that of the sources."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

_FEATURE = 0.1
_CONSTANT = 1e-4
_AT_ONCE = 1 << 18
"""Pixels whose filter responses are held at a time."""


@metric(
    title="Q_P",
    family="perception",
    direction="up",
    range=(None, 1.0),
    identical="about 0.97",
    flat=0.0,
    dims=(2,),
    reference="Zhao, Laganière, Liu 2007, Int. J. Innov. Comput. Inf. Control 3 (6A)",
    undefined="no source has a feature",
    gamed_by=("copy",),
)
def q_p(fused, sources, *, mask=None):
    """Product of the mean correlations of phase congruency and of its largest and smallest moment, (B,).

    At each feature of a source the best counts of the correlations with single sources and with all of them together
    (the strongest at each voxel). A constant fused image scores 0.

    Args:
        fused: (B, 1, H, W) in gray levels.
        sources: (B, K, H, W) in gray levels.
        mask: (B, 1, H, W), where features count.
    """
    import torch

    from MedFusionLib.metrics._precision import widened

    wide_fused, wide_sources = widened(fused, sources)
    some = max(1, _AT_ONCE // fused[0].numel())
    parts = [slice(first, first + some) for first in range(0, len(fused), some)]
    masks = [None if mask is None else mask[part] for part in parts]
    scores = [_quality(wide_fused[p], wide_sources[p], m) for p, m in zip(parts, masks, strict=True)]
    return torch.cat(scores).to(fused.dtype)


def _quality(fused: Tensor, sources: Tensor, mask: Tensor | None) -> Tensor:
    import torch

    from MedFusionLib.metrics._domain import total
    from MedFusionLib.metrics._phase import congruency

    f = congruency(fused[:, 0])
    s = congruency(sources.flatten(0, 1)).unflatten(1, sources.shape[:2])
    best = s[0].argmax(1, keepdim=True)
    s = torch.cat([s, s.gather(2, best.expand(3, *best.shape))], 2)
    features = s[0] > _FEATURE
    counted = features[:, -1:] if mask is None else features[:, -1:] & mask
    number = counted.sum((1, 2, 3)).to(fused.dtype)
    quality = torch.where(number > 0, 1, math.nan)
    for of_fused, of_sources in zip(f, s, strict=True):
        local = _correlation(of_fused[:, None], of_sources * features)
        local = torch.where(features, local, 0).amax(1, keepdim=True)
        quality = quality * total(local, counted)[:, 0] / number.clamp(min=1)
    constant = fused.flatten(1).amax(1) == fused.flatten(1).amin(1)
    return torch.where(constant & (number > 0), 0, quality)


def _correlation(fused: Tensor, sources: Tensor) -> Tensor:
    import torch

    from MedFusionLib.metrics._windows import gaussian_window, windowed

    def local(x: Tensor) -> Tensor:
        return windowed(torch.nn.functional.pad(x, [5] * 4), gaussian_window(2))

    f, s = local(fused), local(sources)
    variances = ((local(fused * fused) - f * f) * (local(sources * sources) - s * s)).abs()
    live = variances > 0
    deviations = torch.where(live, torch.where(live, variances, 1).sqrt(), 0)
    return (local(fused * sources) - f * s + _CONSTANT) / (deviations + _CONSTANT)
