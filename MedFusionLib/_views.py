"""Slices of a volume as they are shown: which axis, which end first, through which voxel (for `present`, `matching`).

Radiological convention: the patient's right is on the viewer's left; coronal and sagittal slices have superior up,
sagittal ones anterior on the left. Oblique grids are shown in their own planes, those nearest to the anatomical ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from MedFusionLib.errors import GeometryError
from MedFusionLib.volume import Aligned, Grid

_STRAIGHT = float(np.cos(np.radians(5)))
"""Cosine from which a plane counts as the anatomical one."""


class Plane(NamedTuple):
    """A view: the anatomical directions (0 R/L, 1 A/P, 2 S/I) across it, from top to bottom and from left to right."""

    name: str
    normal: int
    down: int
    right: int


PLANES = (Plane("axial", 2, 1, 0), Plane("coronal", 1, 2, 0), Plane("sagittal", 0, 2, 1))
ENDS = (("R", "L"), ("A", "P"), ("S", "I"))
"""The two ends of each direction: the first is at the top or on the left of every view."""


def center_of(aligned: Aligned) -> tuple[int, int, int]:
    """Array index (k, j, i) to cut through: the center of the foreground, drawn to high uptake by its square."""
    weight = aligned.mask.astype(np.float32)
    uptakes = [volume.array for volume in aligned.volumes if volume.is_functional]
    if uptakes:
        weighted = weight * np.square(uptakes).sum(0)
        weight = weighted if weighted.any() else weight
    if not weight.any():
        weight = np.ones_like(weight)
    profiles = [weight.sum(tuple(axis for axis in range(3) if axis != kept), dtype=np.float64) for kept in range(3)]
    k, j, i = (round(float(np.average(np.arange(len(profile)), weights=profile))) for profile in profiles)
    return k, j, i


def index_of(grid: Grid, place: Sequence[float]) -> tuple[int, int, int]:
    """Array index (k, j, i) of the voxel at a place in RAS mm.

    Raises:
        GeometryError: if the place is not three finite numbers inside the grid.
    """
    if len(place) != 3 or not np.isfinite(place).all():
        raise GeometryError("Place to cut through (RAS mm)", found=tuple(place), accepted="three finite numbers")
    i, j, k = np.rint((np.linalg.inv(grid.affine) @ (*place, 1))[:3]).astype(int).tolist()
    if not all(0 <= n < size for n, size in zip((k, j, i), grid.shape, strict=True)):
        low, high = grid.corners.min(0).round(1).tolist(), grid.corners.max(0).round(1).tolist()
        raise GeometryError(
            "Place to cut through (RAS mm)", found=tuple(place), accepted=f"a place from {low} to {high}"
        )
    return k, j, i


def planes_of(grid: Grid) -> tuple[Plane, ...]:
    """The views worth showing: all, or the one that a single slice is."""
    flat = [plane for plane in PLANES if grid.shape[grid.axis_along(plane.normal)] == 1]
    return tuple(flat[:1]) or PLANES


def cut(array: np.ndarray, grid: Grid, plane: Plane, center: tuple[int, int, int]) -> np.ndarray:
    """The slice of (K, J, I) or (K, J, I, 3) through the center, (h, w) or (h, w, 3), as it is shown."""
    normal, down, right = (grid.axis_along(direction) for direction in plane[1:])
    shown = array.take(center[normal], axis=normal)
    if down > right:
        shown = shown.swapaxes(0, 1)
    # Every view begins with R, A or S: an axis that runs toward it is turned round.
    turned = [grid.directions[plane.down, 2 - down] > 0, grid.directions[plane.right, 2 - right] > 0]
    return shown[:: -1 if turned[0] else 1, :: -1 if turned[1] else 1]


def position(grid: Grid, plane: Plane, center: tuple[int, int, int]) -> str:
    """Which slice this is, in words: its plane and its place along the normal."""
    k, j, i = center
    straight = abs(grid.directions[plane.normal, 2 - grid.axis_along(plane.normal)]) > _STRAIGHT
    place = round(float((grid.affine @ (i, j, k, 1))[plane.normal]))
    return (
        f"{plane.name}{'' if straight else ', oblique'}  {ENDS[plane.normal][0 if place >= 0 else 1]} {abs(place)} mm"
    )
