"""Contrast pyramid: at each scale the source of the higher luminance contrast, by the neighborhood's majority."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


def _reach(levels: int, **_: object) -> int:
    # A contrast sees what the Laplacian pyramid's detail sees, and the way back is the same.
    return 5 * 2**levels


@method(
    title="Contrast pyramid",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="Toet, van Ruyven, Valeton 1989, Optical Engineering 28(7):789-792",
    reach=_reach,
    stride=lambda levels, **_: 2**levels,
    workspace=11.0,
    keeps_lone=True,
)
def contrast_pyramid(
    sources,
    *,
    levels: Annotated[int, Range(1, 8, unit="levels")] = 4,
    floor: Annotated[float, Range(1e-3, 1)] = 0.1,
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    The contrast is (image - background) / (background + floor). The floor, which the paper does not have, also stands
    in the numerator if written as a ratio, so that black and any other constant has no contrast.

    Args:
        sources: harmonized images.
        levels: how often the image is halved; with more, the choice is made for larger structures too.
        floor: brightness below which differences count as such rather than by their ratio to the background.
        low: what becomes of the remaining low-pass image: the mean, the maximum, or weighted by local energy.
    """
    from MedFusionLib.transforms.pyramid import details, expand
    from MedFusionLib.transforms.rules import low_pass, most_salient
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    contrasts, above = [], sources
    for detail, below in details(sources, levels, axes):
        contrasts.append(most_salient(detail / (above - detail + floor), axes))
        above = below
    fused = low_pass(above, low, axes)
    for contrast in reversed(contrasts):
        background = expand(fused, contrast.shape[2:], axes)
        fused = background + contrast * (background + floor)
    return fused
