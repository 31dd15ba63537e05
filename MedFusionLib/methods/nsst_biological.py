"""Shearlets with adaptive neurons that are stimulated by local activity measures instead of the coefficients."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


@method(
    title="Shearlets, biological neurons",
    family="pulse",
    dims=(2,),
    sources=(2, None),
    reference="Anand, Singh 2019, doi 10.1002/ima.22294; Singh, Gupta 2021, doi 10.1002/ima.22507",
    modalities=("CT", "MR", "PET", "SPECT"),
    workspace=34.0,
    keeps_lone=True,
    double=True,
)
def nsst_biological(
    sources,
    *,
    preset: Annotated[str, Choice("2019", "2021")] = "2019",
    iterations: Annotated[int, Range(1, 300, unit="iterations")] = 110,
    levels: Annotated[int, Range(1, 5, unit="levels")] = 4,
    directions: Annotated[str, Choice("4", "8", "16", "32")] = "16",
    window: Annotated[str, Choice("literature", "sharp", "global")] = "literature",
    progress=None,
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    The papers' abstracts give the transform and the measures; the neuron (`spiking.adaptive_neuron`), its parameters
    and ties by magnitude are ours. The neurons' choices take no gradient, what they choose does.

    Args:
        sources: harmonized images.
        preset: of 2019, neurons in all bands, stimulated by the weighted sum-modified Laplacian in the low-pass band
            and by the modified spatial frequency above it; of 2021, neurons in the low-pass band of a wavelet
            transform of the low-pass band, texture energy in the rest of it, summed magnitudes above.
        iterations: how long the neurons are watched.
        levels: number of scales, each twice as coarse as the one before.
        directions: at the two finest scales; the coarser ones have half as many.
        window: the literature's short filters hardly part directions at coarse scales; sharp ones do; global ones are
            the sharpest, and ripple the furthest.
        progress: told the share of the work that is done.
    """
    from MedFusionLib.transforms import nsst, swt
    from MedFusionLib.transforms.activity import spatial_frequency, texture_energy, weighted_modified_laplacian
    from MedFusionLib.transforms.filterbank import MARGIN
    from MedFusionLib.transforms.rules import chosen, chosen_inside, largest, majority
    from MedFusionLib.transforms.sheets import together
    from MedFusionLib.transforms.spiking import adaptive_neuron
    from MedFusionLib.transforms.window import box_sum, spatial_axes

    axes, many = spatial_axes(sources), sources.shape[1]

    def neurons(measure, x):
        return largest(adaptive_neuron(measure(x), iterations), ties=x.abs())

    def low_2019(band):
        return chosen_inside(band, sources.shape[2:], MARGIN, lambda x: neurons(weighted_modified_laplacian, x))

    def high_2019(bands):
        def decide(x):
            return majority(neurons(lambda y: spatial_frequency(y, diagonals=True), x), many, axes)

        return chosen_inside(bands, sources.shape[2:], MARGIN, decide)

    def low_2021(band):
        return swt.process(
            band,
            lambda part: chosen(part, largest(texture_energy(part.detach()), ties=part.detach().abs())),
            lambda part: chosen(part, neurons(weighted_modified_laplacian, part.detach())),
            "db2",
            1,
            axes,
        )

    def high_2021(bands):
        return chosen(bands, majority(largest(box_sum(bands.detach().abs(), axes)), many, axes))

    high, low = (high_2019, low_2019) if preset == "2019" else (high_2021, low_2021)
    parts = nsst.directions_of(levels, int(directions))
    return nsst.fuse(sources, high, low, parts, window, together=together(sources), progress=progress)
