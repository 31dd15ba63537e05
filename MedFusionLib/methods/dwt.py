"""Discrete wavelet transform: the more salient coefficient at each scale and orientation."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


def _reach(levels: int, wavelet: str, **_: object) -> int:
    from MedFusionLib.transforms.dwt import taps

    # Analysis and synthesis each see (taps - 1) * (2^levels - 1) voxels; saliency and vote add 2 * 2^levels.
    return (2 * taps(wavelet)) * 2**levels


@method(
    title="Wavelet (DWT)",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="Li, Manjunath, Mitra 1995, Graphical Models and Image Processing 57(3):235-245",
    reach=_reach,
    stride=lambda levels, **_: 2**levels,
    workspace=5.0,
    keeps_lone=True,
)
def dwt(
    sources,
    *,
    levels: Annotated[int, Range(1, 6, unit="levels")] = 3,
    wavelet: Annotated[str, Choice("haar", "db2", "db4", "bior4.4")] = "bior4.4",
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    Args:
        sources: harmonized images.
        levels: how often the image is halved.
        wavelet: haar is the literature's choice but leaves blocks; the symmetric bior4.4 does not.
        low: what becomes of the low-pass band: the mean, the maximum, or weighted by local energy.
    """
    from MedFusionLib.transforms.dwt import analyze, synthesize
    from MedFusionLib.transforms.rules import low_pass, most_salient
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    details, rest = analyze(sources, wavelet, levels, axes)
    fused = [[most_salient(band, axes) for band in level] for level in details]
    return synthesize(fused, low_pass(rest, low, axes), wavelet, sources.shape[2:], axes)
