"""Deconvolutional hierarchy: filters explain the details, filters of filters their arrangement; both vote."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


@method(
    title="Deconvolutional network",
    family="sparse",
    dims=(2,),
    sources=(2, None),
    reference="after Zeiler, Krishnan, Taylor, Fergus 2010, doi 10.1109/CVPR.2010.5539957",
    workspace=350.0,
    keeps_lone=True,
    differentiable=False,
)
def deconvolutional(
    sources,
    *,
    layers: Annotated[int, Range(1, 2)] = 2,
    sparsity: Annotated[float, Range(0.001, 0.1)] = 0.01,
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
    progress=None,
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    The model is Zeiler's; the solver is that of `csr`, and the rule is ours: at each voxel the source whose maps are
    stronger, the largest of 4 x 4 voxels in the first layer, and of the second layer's maps of those.

    Args:
        sources: harmonized images.
        layers: one or two.
        sparsity: weight of the maps' absolute sum.
        low: how the smooth bases join: the mean, the maximum, or weighted by local energy.
        progress: told the share of the work that is done.
    """
    import torch

    from MedFusionLib.transforms.convolutional import decode, encode, filters_named, pieces, smooth_base
    from MedFusionLib.transforms.rules import chosen, largest, low_pass

    first, second = (filters_named(name, "learned").to(sources) for name in ("details", "arrangement"))
    base = smooth_base(sources, 5.0)
    fused = []
    for details, told in pieces(sources - base, first, progress):
        maps = encode(details.flatten(0, 1), first, sparsity, progress=told)
        strength = _strength(maps, second, sparsity, layers).unflatten(0, details.shape[:2])
        maps, best = maps.unflatten(0, details.shape[:2]), largest(strength)
        detail = decode(chosen(maps, best[:, :, None]), first)
        fused.append(detail + chosen(details - decode(maps, first), best))
    height, width = sources.shape[2:]
    return low_pass(base, low, (2, 3)) + torch.cat(fused)[..., :height, :width]


def _strength(maps, second, sparsity, layers):
    """(N, H, W): the pooled strength of the first layer's maps, with that of the second layer's where there is one."""
    import torch

    from MedFusionLib.transforms.convolutional import encode, extended

    strength = torch.nn.functional.max_pool2d(maps.abs(), 4, ceil_mode=True).sum(1)
    if layers == 2:
        height, width = strength.shape[1:]
        centered = extended(strength - strength.mean((1, 2), keepdim=True), second)
        strength = strength + encode(centered, second, sparsity).abs().sum(1)[:, :height, :width]
    wide = torch.nn.functional.interpolate(strength[:, None], scale_factor=4, mode="bilinear")[:, 0]
    return wide[:, : maps.shape[2], : maps.shape[3]]
