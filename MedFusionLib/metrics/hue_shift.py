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
    from MedFusionLib.metrics._cielab import hue_angle, pairs, strength
    from MedFusionLib.metrics._domain import divided, total

    turned = weights = fused_rgb.new_zeros(len(fused), 1)
    for seen, meant, inside in pairs(fused, mask, fused_rgb, source_rgb):
        weight = strength(meant)
        turned = turned + total(hue_angle(seen, meant) * weight, inside)
        weights = weights + total(weight, inside)
    return divided(turned, weights, math.nan)[:, 0]
