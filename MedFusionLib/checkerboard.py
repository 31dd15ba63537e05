"""Two volumes in alternating cubes: where they lie on each other, edges run on from one to the other."""

from __future__ import annotations

import numpy as np

from MedFusionLib.errors import GeometryError
from MedFusionLib.volume import Volume


def checkerboard(first: Volume, second: Volume, fields: int = 8) -> Volume:
    """Two volumes in turns, in cubes of one size in millimeters.

    Args:
        first: scalar; its voxel comes first.
        second: on the same grid.
        fields: cubes along the longest side in mm.

    Raises:
        GeometryError: if the volumes lie on different grids, or are one and the same.
    """
    if first is second or not first.grid.same_as(second.grid):
        raise GeometryError(
            "Checkerboard",
            found="one volume twice" if first is second else f"grids {first.grid.shape} and {second.grid.shape}",
            accepted="two volumes on one grid",
            fix="Align them first",
        )
    steps = np.asarray(first.grid.spacing[::-1])
    side = (np.array(first.grid.shape) * steps).max() / fields
    k, j, i = np.ogrid[tuple(map(slice, first.grid.shape))]
    odd = sum((n * step // side).astype(int) for n, step in zip((k, j, i), steps, strict=True)) % 2 == 1
    mixed = np.where(odd, second.array, first.array)
    return Volume(mixed, first.grid, "OTHER", f"{first.modality} {second.modality} checkerboard")
