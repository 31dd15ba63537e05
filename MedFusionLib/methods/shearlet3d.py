"""Shearlets in 3-D: the more salient coefficient at each scale and direction of the volume, without decimation."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


def _reach(**_: object) -> int:
    from MedFusionLib.transforms.shearlet3d import CORE, HALO

    # A tile is one piece: any of its voxels, halo included, can change all of its own.
    return CORE + HALO - 1


def _stride(**_: object) -> int:
    from MedFusionLib.transforms.shearlet3d import CORE

    return CORE


@method(
    title="Shearlets (3-D)",
    family="transform",
    dims=(3,),
    sources=(2, None),
    reference="Easley, Labate, Lim 2008, doi 10.1016/j.acha.2007.09.003, extended to volumes",
    reach=_reach,
    stride=_stride,
    workspace=9.0,
    keeps_lone=True,
)
def shearlet3d(
    sources,
    *,
    levels: Annotated[int, Range(1, 2, unit="levels")] = 2,
    directions: Annotated[str, Choice("3", "12", "48")] = "12",
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
    progress=None,
):
    """Fuse (B, K, D, H, W) in [0, 1] into (B, 1, D, H, W).

    Args:
        sources: harmonized volumes.
        levels: number of scales, each twice as coarse as the one before.
        directions: of each scale; 48 take four times as long as 12.
        low: what becomes of the low-pass band: the mean, the maximum, or weighted by local energy.
        progress: called with the share that is done.
    """
    from MedFusionLib.transforms import shearlet3d as transform
    from MedFusionLib.transforms.rules import low_pass, most_salient
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    return transform.fuse(
        sources,
        lambda bands: most_salient(bands, axes),
        lambda band: low_pass(band, low, axes),
        levels,
        round((int(directions) / 3) ** 0.5),
        progress,
    )
