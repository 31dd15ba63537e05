"""Non-subsampled shearlets: the more salient coefficient at each scale and direction, without decimation."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


@method(
    title="Shearlets (NSST)",
    family="transform",
    dims=(2,),
    sources=(2, None),
    reference="Easley, Labate, Lim 2008, doi 10.1016/j.acha.2007.09.003; choice: Li, Manjunath, Mitra 1995",
    workspace=26.0,
    keeps_lone=True,
)
def nsst_max(
    sources,
    *,
    levels: Annotated[int, Range(1, 5, unit="levels")] = 4,
    directions: Annotated[str, Choice("4", "8", "16", "32")] = "16",
    window: Annotated[str, Choice("literature", "sharp", "global")] = "literature",
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    Args:
        sources: harmonized images.
        levels: number of scales, each twice as coarse as the one before.
        directions: at the two finest scales; the coarser ones have half as many.
        window: the literature's short filters hardly part directions at coarse scales; sharp ones do; global ones are
            the sharpest, and ripple the furthest.
        low: what becomes of the low-pass band: the mean (the common toolboxes), the maximum, or weighted by local
            energy.
    """
    from MedFusionLib.transforms import nsst
    from MedFusionLib.transforms.rules import low_pass, most_salient
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    return nsst.fuse(
        sources,
        lambda bands: most_salient(bands, axes),
        lambda band: low_pass(band, low, axes),
        nsst.directions_of(levels, int(directions)),
        window,
    )
