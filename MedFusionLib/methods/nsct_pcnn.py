"""Contourlets with pulse-coupled neurons: the source whose spatial frequency makes them fire more often."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method

_LINKING_DECAY = 0.06931
"""Of the paper: a neighbor's spike counts half after ten iterations."""


@method(
    title="Contourlets, PCNN (NSCT-PCNN)",
    family="pulse",
    dims=(2,),
    sources=(2, None),
    reference="Qu, Yan, Xiao, Zhu 2008, Acta Automatica Sinica 34(12):1508-1514",
    workspace=25.0,
    keeps_lone=True,
)
def nsct_pcnn(
    sources,
    *,
    iterations: Annotated[int, Range(1, 300, unit="iterations")] = 200,
    linking: Annotated[float, Range(0, 10)] = 0.2,
    levels: Annotated[int, Range(1, 5, unit="levels")] = 4,
    directions: Annotated[str, Choice("2", "4", "8", "16")] = "16",
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
    progress=None,
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    The neurons' choices take no gradient, what they choose does. The stimuli of a band are divided by their largest,
    of all sources together. That, and choosing by magnitude in the margins beyond the image, is ours.

    Args:
        sources: harmonized images.
        iterations: how long the neurons are watched.
        linking: how strongly firing neighbors raise a neuron's activity.
        levels: number of scales, each twice as coarse as the one before.
        directions: at the finest scale; half as many at the next two, a quarter below.
        low: what becomes of the low-pass band: the mean, the maximum, or weighted by local energy.
        progress: told the share of the work that is done.
    """
    from MedFusionLib.transforms import nsct
    from MedFusionLib.transforms.activity import spatial_frequency
    from MedFusionLib.transforms.filterbank import MARGIN
    from MedFusionLib.transforms.rules import chosen_inside, largest, low_pass
    from MedFusionLib.transforms.sheets import together
    from MedFusionLib.transforms.spiking import normalized, pcnn
    from MedFusionLib.transforms.window import spatial_axes

    def decide(inside):
        stimuli = normalized(spatial_frequency(inside))
        counts = pcnn(stimuli, iterations, linking=linking, linking_decay=_LINKING_DECAY)
        return largest(counts, ties=inside.abs())

    return nsct.fuse(
        sources,
        lambda bands: chosen_inside(bands, sources.shape[2:], MARGIN, decide),
        lambda band: low_pass(band, low, spatial_axes(band)),
        nsct.depths_of(levels, int(directions)),
        together=together(sources),
        progress=progress,
    )
