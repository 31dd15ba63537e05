"""Dual-tree complex wavelet: at each scale and orientation the coefficient of the larger modulus, by majority."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


@method(
    title="Dual-tree complex wavelet (DTCWT)",
    family="transform",
    dims=(2,),
    sources=(2, None),
    reference="Lewis, O'Callaghan, Nikolov, Bull, Canagarajah 2007, Information Fusion 8(2):119-130",
    workspace=18.0,
    keeps_lone=True,
)
def dtcwt_max(
    sources,
    *,
    levels: Annotated[int, Range(1, 6, unit="levels")] = 4,
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    Args:
        sources: harmonized images.
        levels: how often the image is halved.
        low: what becomes of the low-pass bands: the mean, the maximum, or weighted by local energy.
    """
    from MedFusionLib.transforms.dtcwt import analyze, synthesize
    from MedFusionLib.transforms.rules import chosen, largest, low_pass, majority
    from MedFusionLib.transforms.window import box_max, spatial_axes

    axes, count = spatial_axes(sources), sources.shape[1]
    details, rest = analyze(sources, levels)
    fused = []
    for level in details:
        moduli = (real.detach().hypot(imag.detach()) for real, imag in level)
        choices = (majority(largest(box_max(modulus, axes)), count, axes) for modulus in moduli)
        fused.append([(chosen(z[0], choice), chosen(z[1], choice)) for z, choice in zip(level, choices, strict=True)])
    return synthesize(fused, [low_pass(band, low, axes) for band in rest], sources.shape[2:])
