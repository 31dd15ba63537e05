"""Hue shift: by what angle the fused image's hues are turned from those of the functional source."""

from __future__ import annotations

import math

from MedFusionLib.registry import metric


@metric(
    title="Hue shift",
    family="color",
    direction="down",
    range=(0.0, 180.0),
    identical=0.0,
    flat="as far as its color; 90 if it is gray",
    unit="degrees",
    reference="CIE 1976 L*a*b*, ISO/CIE 11664-4",
    undefined="the functional source has no color",
    gamed_by=("copy",),
)
def hue_shift(fused, sources, *, mask=None, fused_rgb, source_rgb):
    """Mean angle between hues in CIELAB, weighted by the source's chroma, (B,).

    Where the fused image is gray its hue is lost: that counts as 90 degrees, what hues at random differ by.

    Args:
        fused: (B, 1, *S) in gray levels; not looked at.
        sources: (B, K, *S) in gray levels; not looked at.
        mask: (B, 1, *S), where colors are compared.
        fused_rgb: (B, 3, *S), the fused image in color, sRGB in [0, 1].
        source_rgb: (B, 3, *S), the functional source in its own color, likewise.
    """
    import torch

    from MedFusionLib.metrics._cielab import NEUTRAL, check_colors, chroma, lab
    from MedFusionLib.metrics._domain import divided, total

    check_colors(fused, fused_rgb, source_rgb)
    seen, meant = lab(fused_rgb), lab(source_rgb)
    weight = chroma(meant)
    weight = torch.where(weight > NEUTRAL, weight, 0)
    (a1, b1), (a2, b2) = (x[:, 1:].split(1, 1) for x in (seen, meant))
    hued = (chroma(seen) > NEUTRAL) & (weight > 0)
    cross, dot = (a1 * b2 - b1 * a2).abs(), a1 * a2 + b1 * b2
    angle = torch.atan2(torch.where(hued, cross, 1), torch.where(hued, dot, 0))
    return divided(total(angle * weight, mask), total(weight, mask), math.nan)[:, 0] * (180 / math.pi)
