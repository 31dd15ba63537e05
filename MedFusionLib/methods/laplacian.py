"""Laplacian pyramid: at each scale the more salient source, decided by the neighborhood's majority."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


def _reach(levels: int, **_: object) -> int:
    # At level l a coefficient sees 2 * (2^l - 1) voxels of input plus the expansion's 2^(l+1) + reduction's
    # 2 * (2^(l+1) - 1); saliency and vote add 2 * 2^l, the way back up 2^(l+1). Their sum stays below 5 * 2^levels.
    return 5 * 2**levels


@method(
    title="Laplacian pyramid",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="Burt, Adelson 1983, doi 10.1109/TCOM.1983.1095851",
    reach=_reach,
    stride=lambda levels, **_: 2**levels,
    workspace=9.5,
    keeps_lone=True,
)
def laplacian(
    sources,
    *,
    levels: Annotated[int, Range(1, 8, unit="levels")] = 4,
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    Args:
        sources: harmonized images.
        levels: how often the image is halved; with more, the choice is made for larger structures too.
        low: what becomes of the remaining low-pass image: the mean, the maximum, or weighted by local
            energy.
    """
    from MedFusionLib.transforms.pyramid import details, synthesize
    from MedFusionLib.transforms.rules import low_pass, most_salient
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    fused, rest = [], sources
    for detail, below in details(sources, levels, axes):
        fused.append(most_salient(detail, axes))
        rest = below
    return synthesize(fused, low_pass(rest, low, axes), axes)
