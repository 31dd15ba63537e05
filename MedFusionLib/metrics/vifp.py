"""VIFp: information that the fused image carries of each source, over what the source has, at four scales."""

from __future__ import annotations

from MedFusionLib.registry import metric

_NOISE = 2.0
"""Variance of the noise of the visual system, gray levels squared."""


@metric(
    title="VIFp",
    family="fidelity",
    direction="up",
    range=(0.0, None),
    identical=1.0,
    flat=0.0,
    pool="mean",
    smallest=41,
    reference="Sheikh, Bovik 2006, doi:10.1109/TIP.2005.859378 (in pixels)",
    undefined="no source has texture in windows of the mask that fit the image",
    gamed_by=("copy",),
)
def vifp(fused, sources, *, mask=None, spacing=None):
    """Visual information fidelity of each source, (B, K); NaN for one without texture.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers.
        spacing: voxel size along each axis; one more than twice as coarse as the finest is left as it is.
    """
    import math

    import torch

    from MedFusionLib.metrics._bands import information, scales, transferred
    from MedFusionLib.metrics._domain import divided, total

    carried = offered = torch.zeros_like(sources.flatten(2)[..., 0])
    for at_scale, all_sources, inside, window in scales(fused, sources, mask, spacing):
        sums = []
        for gain, distortion, variance in transferred(at_scale, all_sources, window):
            through = total(information(gain**2 * variance, distortion + _NOISE), inside)
            sums.append((through, total(information(variance, _NOISE), inside)))
        of_each = [torch.cat(part, 1) for part in zip(*sums, strict=True)]
        carried, offered = carried + of_each[0], offered + of_each[1]
    return divided(carried, offered, math.nan)
