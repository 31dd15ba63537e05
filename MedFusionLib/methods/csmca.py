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

    from MedFusionLib.transforms.convolutional import (
        activity,
        decode,
        extended,
        filters_named,
        of_the_most_active,
        shares,
        smooth_base,
    )
    from MedFusionLib.transforms.rules import low_pass

    banks = [filters_named(part, "learned").to(sources) for part in ("cartoon", "texture")]
    base = smooth_base(sources, 60.0)
    details = sources - base
    fused = []
    for b, images in enumerate(extended(details, banks[0])):
        told = [shares(progress, b * len(images) + k, len(details) * len(images)) for k in range(len(images))]
        split = [_parted(image, banks, rounds, tell) for image, tell in zip(images, told, strict=True)]
        # Cartoons are chosen over a larger box than textures.
        active = [[activity(maps, radius) for maps, radius in zip(each, (5, 2), strict=True)] for each in split]
        detail = torch.zeros_like(images[0])
        for n, bank in enumerate(banks):
            joined = of_the_most_active([each[n] for each in split], [a[n] for a in active])
            detail = detail + decode(joined, bank)
        if residual == "kept":
            explained = [decode(each[0], banks[0]) + decode(each[1], banks[1]) for each in split]
            left = [image - whole for image, whole in zip(images, explained, strict=True)]
            detail = detail + of_the_most_active(left, [a[1] for a in active])
        fused.append(detail)
    height, width = sources.shape[2:]
    return low_pass(base, low, (2, 3)) + torch.stack(fused)[:, None, :height, :width]


def _parted(image, banks, rounds, progress):
    """Maps of cartoon and texture: in turn, each dictionary explains what the other leaves."""
    import torch

    from MedFusionLib.transforms.convolutional import decode, encode, shares

    parts, maps = [torch.zeros_like(image), torch.zeros_like(image)], [image, image]
    for number in range(rounds):
        sparsity = max(0.6 - 0.1 * (number + 1), 0.005)
        for part, penalty in enumerate((50 * sparsity + 1, 1.0)):
            told = shares(progress, 2 * number + part, 2 * rounds)
            rest = image - parts[1 - part]
            maps[part] = encode(rest, banks[part], sparsity, penalty=penalty, iterations=_STEPS, progress=told)
            parts[part] = decode(maps[part], banks[part])
    return maps
