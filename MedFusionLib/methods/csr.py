"""Convolutional sparse representation: details as sums of small filters; the source that uses more of them wins."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


@method(
    title="Convolutional sparse representation",
    family="sparse",
    dims=(2,),
    sources=(2, None),
    reference="Liu, Chen, Ward, Wang 2016, doi 10.1109/LSP.2016.2618776",
    workspace=300.0,
    keeps_lone=True,
    differentiable=False,
)
def csr(
    sources,
    *,
    sparsity: Annotated[float, Range(0.001, 0.1)] = 0.01,
    radius: Annotated[int, Range(0, 15, unit="voxel")] = 3,
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
    dictionary: Annotated[str, Choice("learned", "cosines")] = "learned",
    residual: Annotated[str, Choice("kept", "dropped")] = "kept",
    progress=None,
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    Args:
        sources: harmonized images.
        sparsity: weight of the maps' absolute sum; with more, fewer filters are used.
        radius: of the box over which the use of filters is averaged (3 for modalities, 9 for pictures of one scene).
        low: how the smooth bases join: the mean as in the paper, the maximum, or weighted by local energy.
        dictionary: 32 filters of 8 x 8, learned from details of CT, MR, PET and SPECT, or cosines.
        residual: what the winner's filters do not explain; dropped in the paper, which smooths.
        progress: told the share of the work that is done.
    """
    import torch

    from MedFusionLib.transforms.convolutional import activity, decode, encode, filters_named, pieces, smooth_base
    from MedFusionLib.transforms.rules import chosen, largest, low_pass

    filters = filters_named("details", dictionary).to(sources)
    base = smooth_base(sources, 5.0)
    fused = []
    for details, told in pieces(sources - base, filters, progress):
        maps = encode(details.flatten(0, 1), filters, sparsity, progress=told).unflatten(0, details.shape[:2])
        best = largest(activity(maps, radius))
        detail = decode(chosen(maps, best[:, :, None]), filters)
        if residual == "kept":
            detail = detail + chosen(details - decode(maps, filters), best)
        fused.append(detail)
    height, width = sources.shape[2:]
    return low_pass(base, low, (2, 3)) + torch.cat(fused)[..., :height, :width]
