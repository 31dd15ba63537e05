"""Color difference: how far, to the eye, the fused image's colors are from those of the functional source."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="ΔE2000",
    family="color",
    direction="down",
    range=(0.0, None),
    identical=0.0,
    flat="as far as its color",
    reference="Sharma, Wu, Dalal 2005, doi:10.1002/col.20070",
    gamed_by=("copy",),
)
def delta_e(fused, sources, *, mask=None, fused_rgb, source_rgb):
    """Mean CIEDE2000 difference, (B,); about 1 can just be seen.

    Lightness counts too: a fused image that shows anatomy in the source's colors differs from it there.

    Args:
        fused: (B, 1, *S) in gray levels; not looked at.
        sources: (B, K, *S) in gray levels; not looked at.
        mask: (B, 1, *S), where colors are compared.
        fused_rgb: (B, 3, *S), the fused image in color, sRGB in [0, 1].
        source_rgb: (B, 3, *S), the functional source in its own color, likewise.
    """
    from MedFusionLib.metrics._cielab import ciede2000, pairs
    from MedFusionLib.metrics._domain import count, total

    whole = fused_rgb.new_zeros(len(fused), 1)
    for seen, meant, inside in pairs(fused, mask, fused_rgb, source_rgb):
        whole = whole + total(ciede2000(meant, seen), inside)
    return (whole / count(fused, mask))[:, 0]
