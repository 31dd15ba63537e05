"""Morphological components: each source split into cartoon and texture by two dictionaries, each part fused alone."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method

_STEPS = 30


@method(
    title="Convolutional morphological components",
    family="sparse",
    dims=(2,),
    sources=(2, None),
    reference="Liu, Chen, Ward, Wang 2019, doi 10.1109/LSP.2019.2895749",
    workspace=500.0,
    keeps_lone=True,
    differentiable=False,
)
def csmca(
    sources,
    *,
    rounds: Annotated[int, Range(1, 10)] = 6,
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
    residual: Annotated[str, Choice("kept", "dropped")] = "kept",
    progress=None,
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    Args:
        sources: harmonized images.
        rounds: how often cartoon and texture are parted, with less and less sparsity.
        low: how the smooth bases join: the mean as in the paper, the maximum, or weighted by local energy.
        residual: what neither part of the winner explains; dropped in the paper, which smooths.
        progress: told the share of the work that is done.
    """
    import torch

    from MedFusionLib.transforms.convolutional import activity, decode, filters_named, pieces, smooth_base
    from MedFusionLib.transforms.rules import chosen, largest, low_pass

    banks = [filters_named(part, "learned").to(sources) for part in ("cartoon", "texture")]
    base = smooth_base(sources, 60.0)
    fused = []
    for details, told in pieces(sources - base, banks[0], progress):
        both = [maps.unflatten(0, details.shape[:2]) for maps in _parted(details.flatten(0, 1), banks, rounds, told)]
        # Cartoons are chosen over a larger box than textures.
        best = [largest(activity(maps, radius)) for maps, radius in zip(both, (5, 2), strict=True)]
        detail, left = torch.zeros_like(details[:, :1]), details
        for maps, bank, index in zip(both, banks, best, strict=True):
            detail = detail + decode(chosen(maps, index[:, :, None]), bank)
            left = left - decode(maps, bank)
        fused.append(detail + chosen(left, best[1]) if residual == "kept" else detail)
    height, width = sources.shape[2:]
    return low_pass(base, low, (2, 3)) + torch.cat(fused)[..., :height, :width]


def _parted(images, banks, rounds, progress):
    """Maps (N, M, H, W) of cartoon and texture: in turn, each dictionary explains what the other leaves."""
    import torch

    from MedFusionLib.transforms.convolutional import decode, encode
    from MedFusionLib.transforms.progress import shares

    parts, maps = [torch.zeros_like(images), torch.zeros_like(images)], [images, images]
    for number in range(rounds):
        sparsity = max(0.6 - 0.1 * (number + 1), 0.005)
        for part, penalty in enumerate((50 * sparsity + 1, 1.0)):
            told = shares(progress, 2 * number + part, 2 * rounds)
            rest = images - parts[1 - part]
            maps[part] = encode(rest, banks[part], sparsity, penalty=penalty, iterations=_STEPS, progress=told)
            parts[part] = decode(maps[part], banks[part])
    return maps
