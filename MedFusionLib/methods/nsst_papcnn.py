"""Shearlets with adaptive neurons: at each scale and direction the source whose neurons fire more often."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method

_FLAT = {"code": 3e-3, "paper": 1e-5}
"""Below one gray level's texture and above the transform's rounding: where all sources are flat, energy decides."""


@method(
    title="Shearlets, adaptive PCNN (NSST-PAPCNN)",
    family="pulse",
    dims=(2,),
    sources=(2, None),
    reference="Yin, Liu, Liu, Chen 2019, doi 10.1109/TIM.2018.2838778",
    modalities=("CT", "MR", "PET", "SPECT"),
    workspace=25.0,
    keeps_lone=True,
    double=True,
)
def nsst_papcnn(
    sources,
    *,
    iterations: Annotated[int, Range(1, 300, unit="iterations")] = 110,
    levels: Annotated[int, Range(1, 5, unit="levels")] = 4,
    directions: Annotated[str, Choice("4", "8", "16", "32")] = "16",
    window: Annotated[str, Choice("literature", "sharp", "global")] = "literature",
    low: Annotated[str, Choice("code", "paper", "energy", "mean")] = "code",
    ties: Annotated[str, Choice("magnitude", "first")] = "magnitude",
    progress=None,
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    With ties="first" and CT as the first source it is the published method. The neurons' choices take no gradient,
    what they choose does.

    Args:
        sources: harmonized images.
        iterations: how long the neurons are watched.
        levels: number of scales, each twice as coarse as the one before.
        directions: at the two finest scales; the coarser ones have half as many.
        window: the literature's short filters hardly part directions at coarse scales; sharp ones do; global ones are
            the sharpest, and ripple the furthest.
        low: how the low-pass band is joined: the source with more local energy times Laplacian, as in the authors'
            program or as in their paper; weighted by local energy; or the mean.
        ties: between neurons that fired as often, a third of them: the largest coefficient, or as published the first
            source's, which favors that source.
        progress: told the share of the work that is done.
    """
    from MedFusionLib.transforms import nsst
    from MedFusionLib.transforms.activity import weighted_extended_laplacian, weighted_local_energy
    from MedFusionLib.transforms.filterbank import MARGIN
    from MedFusionLib.transforms.rules import chosen, chosen_inside, largest, low_pass
    from MedFusionLib.transforms.sheets import together
    from MedFusionLib.transforms.spiking import pa_pcnn
    from MedFusionLib.transforms.window import spatial_axes

    def join_low(band):
        if low in ("energy", "mean"):
            return low_pass(band, low, spatial_axes(band))
        detail = weighted_extended_laplacian(band.detach(), low) + _FLAT[low]
        return chosen(band, largest(weighted_local_energy(band.detach()) * detail))

    def decide(inside):
        magnitude = inside.abs()
        return largest(pa_pcnn(magnitude, iterations), ties=magnitude if ties == "magnitude" else None)

    def join_high(bands):
        return chosen_inside(bands, sources.shape[2:], MARGIN, decide)

    parts = nsst.directions_of(levels, int(directions))
    return nsst.fuse(sources, join_high, join_low, parts, window, together=together(sources), progress=progress)
