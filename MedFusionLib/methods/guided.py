"""Guided-filter fusion: saliency decides, weights follow the sources' own edges, base and detail apart."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Range
from MedFusionLib.registry import method

_BASE_RADIUS = 15
"""The 31-voxel mean that parts base from detail in the paper."""

_SALIENCY_SIGMA, _SALIENCY_RADIUS = 5.0, 5


def _reach(radius_base: int, radius_detail: int, **_: object) -> int:
    # A guided filter sees two boxes; the choice it smooths sees the Laplacian and the Gaussian of the saliency.
    return max(2 * max(radius_base, radius_detail) + _SALIENCY_RADIUS + 1, _BASE_RADIUS)


@method(
    title="Guided filter",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="Li, Kang, Hu 2013, doi 10.1109/TIP.2013.2244222",
    reach=_reach,
    workspace=36.0,
    keeps_lone=True,
    double=True,
)
def guided(
    sources,
    *,
    radius_base: Annotated[int, Range(1, 60, unit="voxel")] = 45,
    eps_base: Annotated[float, Range(1e-8, 1)] = 0.3,
    radius_detail: Annotated[int, Range(1, 60, unit="voxel")] = 7,
    eps_detail: Annotated[float, Range(1e-8, 1)] = 1e-6,
):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    Args:
        sources: harmonized images.
        radius_base: of the guided filter for the weights of the base.
        eps_base: blur of those weights; larger follows edges less.
        radius_detail: of the guided filter for the weights of the detail.
        eps_detail: blur of those weights.
    """
    import torch

    from MedFusionLib.transforms.guided import guided_filter
    from MedFusionLib.transforms.rules import largest
    from MedFusionLib.transforms.window import box_mean, gaussian, laplacian, spatial_axes

    axes = spatial_axes(sources)
    saliency = gaussian(laplacian(sources.detach(), axes).abs(), _SALIENCY_SIGMA, axes, _SALIENCY_RADIUS)
    best = largest(saliency)
    fused = [torch.zeros_like(sources[:, :1], dtype=torch.float64) for _ in range(2)]
    totals = [torch.zeros_like(fused[0]) for _ in range(2)]
    for k in range(sources.shape[1]):
        source = sources[:, k : k + 1]
        chosen = (best == k).double()
        base = box_mean(source, _BASE_RADIUS, axes)
        parts = ((base, radius_base, eps_base), (source - base, radius_detail, eps_detail))
        for n, (part, radius, eps) in enumerate(parts):
            # The filter may dip below zero beside strong edges; a tiny floor keeps the sum of weights positive.
            weight = guided_filter(chosen, source, radius, eps, axes).clamp_min(torch.finfo(torch.float32).tiny)
            fused[n] = fused[n] + weight * part
            totals[n] = totals[n] + weight
    return (fused[0] / totals[0] + fused[1] / totals[1]).to(sources.dtype)
