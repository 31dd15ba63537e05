"""Two volumes in alternating cubes: where they lie on each other, edges run on from one to the other."""

from __future__ import annotations

import numpy as np

from MedFusionLib.errors import GeometryError
from MedFusionLib.volume import Aligned, Volume

_FIELDS = 8
"""Cubes along the longest side of the volume."""


def checkerboard(aligned: Aligned, number: int) -> Volume:
    """The reference and another of aligned volumes, in [0, 1], in cubes of one size in millimeters.

    Args:
        aligned: the volumes.
        number: of the other one.

    Raises:
        GeometryError: if there is no such volume, or it is the reference.
    """
    others = [n for n in range(len(aligned.volumes)) if n != aligned.reference]
    if number not in others:
        raise GeometryError("Checkerboard with volume", found=number, accepted=", ".join(map(str, others)))
    steps = np.asarray(aligned.grid.spacing[::-1])
    side = (np.array(aligned.grid.shape) * steps).max() / _FIELDS
    k, j, i = np.ogrid[tuple(map(slice, aligned.grid.shape))]
    odd = sum((n * step // side).astype(int) for n, step in zip((k, j, i), steps, strict=True)) % 2 == 1
    fixed, other = aligned.volumes[aligned.reference], aligned.volumes[number]
    mixed = np.where(odd, other.array, fixed.array)
    return Volume(mixed, aligned.grid, "OTHER", f"{fixed.modality} {other.modality} checkerboard")
