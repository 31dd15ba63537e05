"""How well volumes lie on each other, before and after registration, in one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from MedFusionLib._panels import Column, composed, gray, stacked
from MedFusionLib._views import Plane, center_of, cut, planes_of
from MedFusionLib.errors import GeometryError
from MedFusionLib.harmonize import unmoved
from MedFusionLib.volume import LEVELS, Aligned, Volume

if TYPE_CHECKING:
    from PIL import Image

_FIELDS = 8
"""Fields of the checkerboard along the longer side of a view."""

_EDGES = 0.08
"""Share of a slice's pixels that are drawn as the reference's edges: the steepest."""

_EDGE_COLOR = (1.0, 0.25, 0.1)


class _Match(NamedTuple):
    """One cut through the reference and a moving volume before and after, (h, w) in [0, 1] each."""

    fixed: np.ndarray
    before: np.ndarray
    after: np.ndarray


def registration_picture(volumes: Sequence[Volume], aligned: Aligned) -> Image.Image:
    """Checkerboards, the reference's edges on the other volume, and both in complementary colors, before and after.

    Args:
        volumes: the sources as they were given.
        aligned: what became of them.

    Returns:
        An RGB picture with a block of rows for each volume that was moved.

    Raises:
        GeometryError: if there is not one aligned volume for each, or none has moved.
    """
    moved = [number for number, pose in enumerate(aligned.poses) if pose is not None]
    if len(volumes) != len(aligned.volumes) or not moved:
        raise GeometryError(
            "Picture of a registration",
            found=f"{len(volumes)} volumes, {len(moved)} of {len(aligned.volumes)} aligned ones with a pose",
            accepted="the volumes that were aligned, one of them with a pose at least",
        )
    return stacked([_block(volumes[number], aligned, number) for number in moved])


def _block(volume: Volume, aligned: Aligned, number: int) -> Image.Image:
    center, grid = center_of(aligned), aligned.grid
    fixed, after = aligned.volumes[aligned.reference], aligned.volumes[number]
    before = unmoved(volume, grid, aligned.windows[number])

    def slices_of(plane: Plane) -> _Match:
        return _Match(*(cut(array, grid, plane, center) for array in (fixed.array, before, after.array)))

    return composed(
        _columns(fixed.modality),
        slices_of,
        grid,
        planes_of(grid),
        center,
        title=f"{after.label} on {fixed.label}",
        placed=any(window.unit != LEVELS for window in aligned.windows),
    )


def _columns(fixed: str) -> Sequence[Column]:
    columns = []
    for paint, title in ((_checkered, "Checkerboard"), (_edged, f"Edges of {fixed}"), (_tinted, "Difference")):
        for moment in ("before", "after"):
            detail = "red: reference, cyan: the other" if paint is _tinted else ""
            columns.append(Column((f"{title}, {moment}", detail), _painter(paint, moment)))
    return columns


def _painter(paint: Callable[[np.ndarray, np.ndarray], np.ndarray], moment: str) -> Callable[[_Match], np.ndarray]:
    return lambda match: paint(match.fixed, getattr(match, moment))


def _checkered(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    side = max(1, -(-max(fixed.shape) // _FIELDS))
    rows, columns = np.indices(fixed.shape) // side
    return gray(np.where((rows + columns) % 2 == 0, fixed, moving))


def _edged(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_gradient_magnitude

    steep = gaussian_gradient_magnitude(fixed, 1.0, mode="nearest")
    shown = gray(moving)
    limit = np.quantile(steep, 1 - _EDGES)
    shown[steep > max(limit, 1e-3)] = _EDGE_COLOR
    return shown


def _tinted(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    return np.stack([fixed, moving, moving], -1)
