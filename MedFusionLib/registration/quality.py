"""How good a registration is, in figures: nobody can see a pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MedFusionLib.harmonize.pose import Pose
from MedFusionLib.volume import Grid

_FIELD_SIDE = 64
"""Points a side at which a deformation is looked at."""


@dataclass(frozen=True)
class Quality:
    """Figures of one registration.

    Args:
        nmi_before: normalized mutual information - 1 (0 nothing shared, 1 all; Studholme et al. 1999, doi
            10.1016/S0031-3203(98)00091-0) as given or at the start; None where the volumes did not overlap.
        nmi_after: the same at the pose found.
        overlap: share of the reference's voxels that lie in the moving volume's field of view, 0..1.
        inverse_mm: mean distance between the linear pose and the inverse of the one found with the roles swapped, over
            the reference's object.
        displacement_mm: largest way that any part of the shared field of view is moved.
        bend_mm: the part of it that is not affine; 0 for rigid and affine poses.
        folding: share of the field of view where space is turned inside out (Jacobian not positive), 0..1.
        seconds: of the whole registration.
        iterations: of the optimizer.
        starts: poses the search refined.
        notes: sentences on what should be looked at.
    """

    nmi_before: float | None
    nmi_after: float
    overlap: float
    inverse_mm: float
    displacement_mm: float
    bend_mm: float
    folding: float
    seconds: float
    iterations: int
    starts: int
    notes: tuple[str, ...] = ()


def thinned(grid: Grid, side: int = _FIELD_SIDE) -> Grid:
    """The same box with at most `side` voxels along each axis."""
    counts = [min(n, side) for n in grid.shape]
    steps = [(n - 1) / (c - 1) if c > 1 else 1.0 for n, c in zip(grid.shape, counts, strict=True)]
    affine = grid.affine.copy()
    affine[:3, :3] *= steps[::-1]
    return Grid((counts[0], counts[1], counts[2]), affine)


def movement(pose: Pose, reference: Grid, moving: Grid) -> tuple[float, float, float, float]:
    """(overlap, displacement_mm, bend_mm, folding) of a pose, as in `Quality`."""
    small = thinned(reference)
    places = _places(small)
    there = pose.points(places)
    inside = inside_of(there, moving)
    if not inside.any():
        return 0.0, 0.0, 0.0, 0.0
    way = there - places
    largest = float(np.linalg.norm(way[inside], axis=1).max())
    if pose.matrix is not None:
        return float(inside.mean()), largest, 0.0, 0.0
    design = np.c_[places, np.ones(len(places))]
    affine = np.linalg.lstsq(design[inside], way[inside], rcond=None)[0]
    bend = float(np.linalg.norm((way - design @ affine)[inside], axis=1).max())
    folded = jacobian(there.reshape(*small.shape, 3), small) <= 0
    return float(inside.mean()), largest, bend, float(folded[inside.reshape(small.shape)].mean())


def jacobian(there: np.ndarray, grid: Grid) -> np.ndarray:
    """(K, J, I) local change of volume of a map, from the (K, J, I, 3) RAS mm where the voxels of a grid go.

    Along an axis of one voxel nothing changes.
    """
    steps = []
    for axis in range(3):
        if grid.shape[axis] > 1:
            steps.append(np.gradient(there, axis=axis))
        else:
            steps.append(np.broadcast_to(grid.affine[:3, 2 - axis], there.shape))
    columns = np.stack(steps[::-1], -1)
    return np.linalg.det(columns) / np.linalg.det(grid.affine[:3, :3])


def _places(grid: Grid) -> np.ndarray:
    index = np.indices(grid.shape)[::-1].reshape(3, -1)
    return (grid.affine[:3, :3] @ index + grid.affine[:3, 3:]).T


def inside_of(points: np.ndarray, grid: Grid) -> np.ndarray:
    """(N,) bool: which (N, 3) RAS mm points lie in the voxels of a grid."""
    index = np.linalg.solve(grid.affine[:3, :3], points.T - grid.affine[:3, 3:])
    # Half a voxel beyond the outer centers, and the thickness of a single slice whatever is told of it.
    limits = np.array(grid.shape[::-1])[:, None] - 0.5
    return np.all((index >= -0.5) & (index <= limits), axis=0)
