"""Non-subsampled contourlets: the more salient coefficient at each scale and direction, without decimation."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


@method(
    title="Contourlets (NSCT)",
    family="transform",
    dims=(2,),
    sources=(2, None),
    reference="da Cunha, Zhou, Do 2006, doi 10.1109/TIP.2006.877507; choice: Li, Manjunath, Mitra 1995",
    workspace=28.0,
    keeps_lone=True,
)
def nsct_max(
    sources,
    *,
    levels: Annotated[int, Range(1, 5, unit="levels")] = 4,
    directions: Annotated[str, Choice("2", "4", "8", "16")] = "16",
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    Args:
        sources: harmonized images.
        levels: number of scales, each twice as coarse as the one before.
        directions: at the finest scale; half as many at the next two, a quarter below.
        low: what becomes of the low-pass band: the mean (the common toolboxes), the maximum, or weighted by local
            energy.
    """
    from MedFusionLib.transforms import nsct
    from MedFusionLib.transforms.rules import low_pass, most_salient
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    return nsct.fuse(
        sources,
        lambda bands: most_salient(bands, axes),
        lambda band: low_pass(band, low, axes),
        nsct.depths_of(levels, int(directions)),
    )
