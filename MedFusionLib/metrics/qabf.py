"""Q^AB/F: how much of the sources' edges, strength and orientation, is found in the fused image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from MedFusionLib.errors import ParameterError
from MedFusionLib.params import Choice
from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

_STRENGTH = (0.9994, -15.0, 0.5)
_ORIENTATION = (0.9879, -22.0, 0.8)
_BEST = 0.97479
"""Both sigmoids at 1."""


@metric(
    title="Q^AB/F",
    family="edge",
    direction="up",
    range=(0.0, _BEST),
    identical=_BEST,
    flat="about 0",
    pool="weighted",
    reference="Xydeas, Petrović 2000, doi:10.1049/el:20000267",
    undefined="no source has an edge",
)
def qabf(
    fused,
    sources,
    *,
    mask=None,
    spacing=None,
    variant: Annotated[str, Choice("circular", "hong")] = "circular",
):
    """Edge preservation of each source and its weight, (B, K) both.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where edges count.
        spacing: voxel size along each axis.
        variant: circular (orientations that wrap around, replicated border) or hong (as in the published tables: they
            do not wrap, the frame counts as an edge, equal gradients are taken for their own ratio; 2-D only).
    """
    import torch

    from MedFusionLib.metrics._domain import divided, total
    from MedFusionLib.metrics._gradients import angle_between, edges, magnitude

    if variant == "hong":
        quality, strength = _hong(fused, sources)
        kept, weight = total(quality * strength, mask), total(strength, mask)
        return divided(kept, weight, math.nan), weight
    kept = weight = sources.new_zeros(sources.shape[:2])
    for f, s, inside in edges(fused, sources, mask, spacing):
        g_f, strength = magnitude(f), magnitude(s)
        ratio = divided(torch.minimum(g_f, strength), torch.maximum(g_f, strength))
        quality = _preserved(ratio, 1 - angle_between(f, s) / (math.pi / 2))
        kept = kept + total(quality * strength, inside)
        weight = weight + total(strength, inside)
    return divided(kept, weight, math.nan), weight


def _preserved(ratio: Tensor, orientation: Tensor) -> Tensor:
    import torch

    quality = torch.ones_like(ratio)
    for value, (gain, slope, middle) in ((ratio, _STRENGTH), (orientation, _ORIENTATION)):
        quality = quality * gain / (1 + (slope * (value - middle)).exp())
    return quality


def _hong(fused: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """Quality and strength as Hong's code and all that descends from it: comparable with published tables."""
    import torch

    from MedFusionLib.metrics._domain import divided
    from MedFusionLib.metrics._gradients import magnitude, sobel

    if fused.ndim != 4:
        raise ParameterError("Variant of qabf", found="hong for a volume", accepted="circular", fix="hong is 2-D only")
    # The Sobel mask is unscaled there, which matters for the gradients that are taken for ratios.
    f, s = ([8 * d for d in sobel(x, border="zeros")] for x in (fused, sources))
    g_f, g_s = magnitude(f), magnitude(s)
    ratio = torch.where(g_f == g_s, g_f, divided(torch.minimum(g_f, g_s), torch.maximum(g_f, g_s)))
    turned = (_hong_angle(s) - _hong_angle(f)).abs()
    return _preserved(ratio, 1 - turned / (math.pi / 2)), g_s


def _hong_angle(derivatives: list[Tensor]) -> Tensor:
    import torch

    along_rows, along_columns = derivatives
    live = along_columns != 0
    # Its convolution turns one of the two axes round, which shows where the other derivative is 0.
    slope = -along_rows / torch.where(live, along_columns, 1)
    return torch.where(live, slope.atan(), math.pi / 2)
