"""Q_M: how near the fused wavelet details are to each source's; differences are so damped that a blank scores 0.97."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

_EXPONENTS = (2 / 3, 1 / 3)
"""Of the levels, the finer first."""


@metric(
    title="Q_M",
    family="edge",
    direction="up",
    range=(0.0, 1.0),
    identical=1.0,
    flat="0.9 to 1",
    dims=(2,),
    smallest=4,
    reference="Wang, Liu 2008, ICSP, 965-968",
    undefined="at one of two scales no source has detail",
    gamed_by=("copy",),
)
def q_m(fused, sources, *, mask=None):
    """Agreement of two levels of Haar details, weighted by the sources' energy, on the [0, 1] scale, (B,).

    Args:
        fused: (B, 1, H, W) in gray levels.
        sources: (B, K, H, W) in gray levels.
        mask: (B, 1, H, W); a detail counts where one of its pixels is inside.
    """
    from MedFusionLib.metrics._domain import LEVELS, divided, total

    f, s = fused / LEVELS, sources / LEVELS
    levels = []
    for exponent in _EXPONENTS:
        f, f_details = _haar(f)
        s, s_details = _haar(s)
        mask = _halved(mask)
        energy = (s_details**2).sum(0)
        near = (-(f_details - s_details).abs()).exp().mean(0)
        share = divided(total(near * energy, mask).sum(1), total(energy, mask).sum(1), math.nan)
        levels.append(share**exponent)
    return math.prod(levels)


def _haar(x: Tensor) -> tuple[Tensor, Tensor]:
    """The next coarser image and its details (3, B, C, H/2, W/2); of an odd size the last row or column is left out."""
    import torch

    x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return (a + b + c + d) / 2, torch.stack([a - b + c - d, a + b - c - d, a - b - c + d]) / 2


def _halved(mask: Tensor | None) -> Tensor | None:
    import torch

    return None if mask is None else torch.nn.functional.max_pool2d(mask.float(), 2) > 0
