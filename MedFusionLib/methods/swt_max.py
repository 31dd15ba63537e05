"""Undecimated wavelet: as the wavelet method, without its dependence on where the image begins."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


def _reach(levels: int, wavelet: str, **_: object) -> int:
    from MedFusionLib.transforms.swt import reach

    # Saliency and vote see one voxel more each.
    return reach(wavelet, levels) + 2


@method(
    title="Undecimated wavelet (SWT)",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="Rockinger 1997, IEEE International Conference on Image Processing 3:288-291",
    reach=_reach,
    workspace=31.0,
    keeps_lone=True,
)
def swt_max(
    sources,
    *,
    levels: Annotated[int, Range(1, 4, unit="levels")] = 3,
    wavelet: Annotated[str, Choice("haar", "db2", "db4", "bior4.4")] = "bior4.4",
    low: Annotated[str, Choice("mean", "maximum", "energy")] = "energy",
):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    Args:
        sources: harmonized images.
        levels: how often the image is smoothed to twice the scale.
        wavelet: haar is the shortest and the paper's; the symmetric bior4.4 leaves fewer blocks.
        low: what becomes of the low-pass band: the mean, the maximum, or weighted by local energy.
    """
    from MedFusionLib.transforms.rules import low_pass, most_salient
    from MedFusionLib.transforms.swt import process
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    return process(
        sources, lambda band: most_salient(band, axes), lambda band: low_pass(band, low, axes), wavelet, levels, axes
    )
