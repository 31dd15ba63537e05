"""MEF-SSIM: contrast and structure of the fused image in small windows, against the best patch the sources make."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

    from MedFusionLib.metrics._windows import Taps

_C2 = (0.03 * 255) ** 2
_VOXELS = 11 * 11
_MOST = 10.0
"""Highest power of the contrasts as weights: the strongest source alone, nearly."""
_FAINT = 1e-3
"""Added to the lengths of patches, as in the authors' code: those without texture have no direction."""


@metric(
    title="MEF-SSIM",
    family="structure",
    direction="up",
    range=(-1.0, 1.0),
    identical=1.0,
    flat="small",
    smallest=11,
    reference="Ma, Zeng, Wang 2015, doi:10.1109/TIP.2015.2442920",
    undefined="no window of the mask fits the image",
)
def mef_ssim(fused, sources, *, mask=None, spacing=None):
    """Mean similarity of 11 x 11 patches to the desired ones, (B,).

    A desired patch has the contrast of the strongest source and the mean structure of all, weighted by a power of
    their contrasts that rises with how well their structures agree. Luminance plays no part.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers.
        spacing: voxel size along each axis.
    """
    from MedFusionLib.metrics._domain import mean
    from MedFusionLib.metrics._windows import gaussian_window, moments

    window = gaussian_window(fused.ndim - 2, spacing)
    factors = _factors(sources, window)
    m = moments(fused, sources, window, mask)
    desired = _squared(_covariances(sources, window), factors)
    covariance = (factors * m.covariance).sum(1, keepdim=True)
    return mean((2 * covariance + _C2) / (desired + m.fused_variance + _C2), m.mask)[:, 0]


def _factors(sources: Tensor, window: Taps) -> Tensor:
    """(B, K, *S') factors of the sources' patches (less their means) whose sum is the desired patch.

    Patches have the size of the window but equal weights; lengths are those of 11 x 11 voxels.
    """
    import torch

    from MedFusionLib.metrics._domain import divided

    patches = _covariances(sources, [[1 / len(taps)] * len(taps) for taps in window])
    length = torch.cat([_root(_VOXELS * patches[k, k]) for k in range(sources.shape[1])], 1)
    agreement = divided(_root(_VOXELS * _squared(patches)), length.sum(1, keepdim=True), 1.0)
    power = (math.pi / 2 * agreement.clamp(max=2 / math.pi * math.atan(_MOST))).tan()
    length = length + _FAINT
    strongest = length.amax(1, keepdim=True)
    factors = (length / strongest) ** power / length
    return factors * divided(strongest, _root(_VOXELS * _squared(patches, factors)))


def _covariances(sources: Tensor, window: Taps) -> dict[tuple[int, int], Tensor]:
    """Covariance of each two sources in every window, (B, 1, *S') each."""
    from MedFusionLib.metrics._windows import windowed

    each, means = sources.split(1, 1), windowed(sources, window).split(1, 1)
    pairs = [(k, other) for k in range(len(each)) for other in range(k, len(each))]
    return {(a, b): windowed(each[a] * each[b], window) - means[a] * means[b] for a, b in pairs}


def _squared(covariances: dict[tuple[int, int], Tensor], factors: Tensor | None = None) -> Tensor:
    """Variance of the sum of the sources times their factors (or 1), (B, 1, *S')."""
    import torch

    terms = []
    for (a, b), covariance in covariances.items():
        term = covariance if a == b else 2 * covariance
        terms.append(term if factors is None else term * factors[:, a : a + 1] * factors[:, b : b + 1])
    squared, size = sum(terms[1:], terms[0]), sum((term.abs() for term in terms[1:]), terms[0].abs())
    # Below this share of the terms the sum is rounding: the patches cancel.
    return squared * (squared > 1e4 * torch.finfo(size.dtype).eps * size)


def _root(x: Tensor) -> Tensor:
    """Square root with a gradient of 0, not infinity, at 0."""
    import torch

    return torch.where(x > 0, torch.where(x > 0, x, 1).sqrt(), 0)
