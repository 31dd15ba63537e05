"""VIFF: information that the fused image carries of whichever source it keeps worse, place by place, at four scales."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

    from MedFusionLib.metrics._windows import Taps

_NOISE = 0.005 * 255**2
_FLOOR = 1e-7
"""Information everywhere, so that a scale without texture counts 1."""
_WEIGHTS = (1.0, 0.0, 0.15, 1.0)


@metric(
    title="VIFF",
    family="fidelity",
    direction="up",
    range=(0.0, None),
    identical=1.0,
    flat="about 0",
    smallest=41,
    reference="Han, Cai, Cao, Xu 2013, doi:10.1016/j.inffus.2011.08.002",
    undefined="no source has texture, or at some scale no window of the mask fits the image",
    gamed_by=("contrast",),
)
def viff(fused, sources, *, mask=None, spacing=None):
    """Visual information fidelity for fusion, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels; one without texture is left out.
        mask: (B, 1, *S), where windows have their centers.
        spacing: voxel size along each axis; one more than twice as coarse as the finest is left as it is.
    """
    import torch

    from MedFusionLib.metrics._bands import scales
    from MedFusionLib.metrics._domain import count, total

    value = all_offered = fused.new_zeros(())
    for weight, (at_scale, all_sources, inside, window) in zip(
        _WEIGHTS, scales(fused, sources, mask, spacing), strict=True
    ):
        if not weight:
            continue
        through, offer = _of_worst_kept(at_scale, all_sources, inside, window)
        offered, floor = total(offer, inside)[:, 0], _FLOOR * count(offer, inside)[:, 0]
        value = value + weight / sum(_WEIGHTS) * (total(through, inside)[:, 0] + floor) / (offered + floor)
        all_offered = all_offered + offered
    return torch.where(all_offered > 0, value, math.nan)


def _of_worst_kept(fused: Tensor, sources: Tensor, inside: Tensor | None, window: Taps) -> tuple[Tensor, Tensor]:
    """Information carried and offered, (B, 1, *S') both, of the source with the smallest gain in each window."""
    import torch

    from MedFusionLib.metrics._bands import information, transferred
    from MedFusionLib.metrics._domain import axes_of, total

    least = through = offer = fused.new_zeros(())
    for number, (gain, distortion, variance) in enumerate(transferred(fused, sources, window)):
        offers = information(variance, _NOISE)
        carries = information(gain**2 * variance, distortion + _NOISE)
        textured = total(offers, inside) > 0
        # A source without texture has no gain anywhere; it must not be taken for the worst kept.
        known = torch.where(textured[(..., *[None] * len(axes_of(gain)))], gain, math.inf)
        if number == 0:
            least, through, offer = known, carries, offers
            continue
        # Of equal gains the later source's, as in the authors' code.
        worse = known <= least
        least, through, offer = known.minimum(least), carries.where(worse, through), offers.where(worse, offer)
    return through, offer
