"""The one grid that all volumes are brought to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from MedFusionLib.device import free_memory
from MedFusionLib.errors import GeometryError
from MedFusionLib.volume import Grid, Volume

_ARRAYS = 4
"""Volumes on the common grid that a run holds at the least: two sources, their masks and the result."""

Spacing = float | Sequence[float] | str | None
Region = Sequence[Sequence[float]] | None


def common_grid(volumes: Sequence[Volume], reference: int, spacing: Spacing = None, region: Region = None) -> Grid:
    """The reference's grid, or its box sampled at another spacing; the part of it inside a region.

    Args:
        volumes: the sources.
        reference: index of the one whose axes and field of view are taken.
        spacing: None keeps the reference's voxels; a number (mm) or three (i, j, k) sample its box anew;
            "finest" takes the smallest spacing of any source for all axes.
        region: two opposite corners (RAS mm) of the box to keep; None keeps all.

    Raises:
        GeometryError: if there is no such volume, the spacing is not positive, or no voxel lies in the region.
    """
    if not 0 <= reference < len(volumes):
        raise GeometryError(
            "Reference volume", found=f"number {reference + 1}", accepted=f"1 to {len(volumes)}, the first is 1"
        )
    grid = volumes[reference].grid
    if spacing is None:
        # Files and viewers hold no sheared grid (gantry tilt), so the result could not be saved on one.
        whole = grid if grid.is_rectangular else _straightened(grid)
    else:
        whole = _resampled(grid if grid.is_rectangular else _straightened(grid), _three(spacing, volumes))
    return whole if region is None else part_inside(whole, region)


def part_of(grid: Grid, first: Sequence[int], last: Sequence[int]) -> Grid:
    """The voxels of a grid from index first to last (k, j, i), both included, where they lie."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.asarray(first)[::-1]
    k, j, i = (int(stop) - int(start) + 1 for start, stop in zip(first, last, strict=True))
    return Grid((k, j, i), affine)


def part_inside(grid: Grid, region: Sequence[Sequence[float]]) -> Grid:
    """The smallest part of a grid that holds all of its voxels inside a box of RAS space.

    Raises:
        GeometryError: if the region is not two points, or holds no voxel.
    """
    box = np.asarray(region, float)
    if box.shape != (2, 3) or not np.isfinite(box).all():
        raise GeometryError("Region", found=np.shape(region), accepted="two corners of three RAS mm each")
    low, high = box.min(0), box.max(0)
    inside = np.ones(grid.shape, bool)
    k, j, i = np.ogrid[tuple(map(slice, grid.shape))]
    for axis, (a, b, c, shift) in enumerate(grid.affine[:3]):
        place = a * i + b * j + c * k + shift
        inside &= (place >= low[axis]) & (place <= high[axis])
    if not inside.any():
        raise GeometryError(
            "Region",
            found=f"{low.round(1).tolist()} to {high.round(1).tolist()} mm, which holds no voxel",
            accepted=f"a box that meets {grid.corners.min(0).round(1).tolist()} to "
            f"{grid.corners.max(0).round(1).tolist()} mm",
            fix="Move the region onto the reference volume",
        )
    kept = [np.flatnonzero(inside.any(tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    return part_of(grid, [each[0] for each in kept], [each[-1] for each in kept])


def _three(spacing: float | Sequence[float] | str, volumes: Sequence[Volume]) -> np.ndarray:
    if spacing == "finest":
        return np.full(3, min(min(volume.grid.spacing) for volume in volumes))
    try:
        wanted = np.broadcast_to(np.asarray(spacing, float), 3)
    except ValueError:
        wanted = np.zeros(3)
    if not (np.isfinite(wanted).all() and wanted.min() > 0):
        raise GeometryError("Spacing", found=spacing, accepted='a positive number of mm, three of them, or "finest"')
    return wanted


def _resampled(grid: Grid, spacing: np.ndarray) -> Grid:
    """The same box in voxels of another size; where they do not divide it they reach over both edges alike."""
    extent = np.array(grid.shape[::-1]) * grid.spacing
    # The small allowance keeps a box of exactly n voxels at n despite rounding.
    counts = np.maximum(1, np.ceil(extent / spacing - 1e-6))
    if 4 * counts.prod() > free_memory() / _ARRAYS:
        raise GeometryError(
            "Spacing",
            found=f"{spacing.tolist()} mm, a grid of {' x '.join(f'{n:.0f}' for n in counts)} voxels",
            accepted=f"what {free_memory() / 2**30:.1f} GiB of free memory can hold {_ARRAYS} times",
            fix="Choose a coarser spacing",
        )
    affine = grid.affine.copy()
    affine[:3, :3] = grid.directions * spacing
    middle = grid.affine[:3, 3] + grid.directions @ ((extent - grid.spacing) / 2)
    affine[:3, 3] = middle - grid.directions @ ((counts - 1) * spacing / 2)
    i, j, k = (int(n) for n in counts)
    return Grid((k, j, i), affine)


def _straightened(grid: Grid) -> Grid:
    """A rectangular grid over a sheared one: i and j kept, k at right angles to both, large enough for all corners."""
    i = grid.directions[:, 0]
    k = np.cross(i, grid.directions[:, 1])
    k *= np.sign(k @ grid.directions[:, 2]) / np.linalg.norm(k)
    j = np.cross(k, i) * np.sign(np.cross(k, i) @ grid.directions[:, 1])
    axes = np.stack([i, j, k], 1)
    spacing = np.array([*grid.spacing[:2], abs(k @ grid.affine[:3, 2])])
    along = grid.corners @ axes
    counts = np.rint((along.max(0) - along.min(0)) / spacing).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = axes @ along.min(0)
    return Grid(tuple(counts[::-1]), affine)
