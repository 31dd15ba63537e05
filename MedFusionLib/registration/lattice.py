"""Displacements on a lattice of B-splines that is aligned with a grid of voxels."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np

_THICK = 1000.0
"""mm on either side of a plane for which its deformation holds."""


class Lattice:
    """Cubic B-splines over a grid of voxels, half a cell beyond it on each side.

    Args:
        shape: voxels of the grid, array order.
        affine: (D + 1, D + 1) from (i, j[, k]) to the frame.
        spacing: mm between the control points, at the most.
    """

    def __init__(self, shape: tuple[int, ...], affine: np.ndarray, spacing: float):
        self._affine, self._shape = affine, shape
        self._steps = np.linalg.norm(affine[:-1, :-1], axis=0)[::-1]
        self._axes = affine[:-1, :-1] / self._steps[::-1]
        # Where the box begins along each of its axes, array order.
        self._edge = (self._axes.T @ affine[:-1, -1])[::-1] - self._steps / 2
        extents = np.array(shape) * self._steps
        self._cells = np.maximum(1, np.ceil(extents / spacing)).astype(int) + 1
        self._h = extents / (self._cells - 1)
        self.shape = (*(self._cells + 3), len(shape))
        self._weights = self._weights_on(self)

    def _weights_on(self, other: Lattice) -> list[np.ndarray]:
        """Of each control point (columns) at each voxel (rows) of a lattice's grid, one matrix an axis."""
        matrices = []
        for axis, (n, step) in enumerate(zip(other._shape, other._steps, strict=True)):
            places = other._edge[axis] - self._edge[axis] + (np.arange(n) + 0.5) * step
            knots = np.arange(self.shape[axis]) - 1.5
            matrices.append(_spline(places[:, None] / self._h[axis] - knots[None]))
        return matrices

    def field(self, coefficients: np.ndarray) -> np.ndarray:
        """(*grid, D) displacements in the frame."""
        return _along(self._weights, coefficients)

    def gathered(self, forces: np.ndarray) -> np.ndarray:
        """The transpose of `field`: (*lattice, D) from (*grid, D)."""
        return _along([weights.T for weights in self._weights], forces)

    def fitted(self, other: Lattice, coefficients: np.ndarray) -> np.ndarray:
        """The coefficients here whose displacements come closest to another lattice's."""
        field = _along(other._weights_on(self), coefficients)
        return _along([np.linalg.pinv(weights) for weights in self._weights], field)

    def bending(self, coefficients: np.ndarray, length: float) -> tuple[float, np.ndarray]:
        """Mean square change of strain over `length` mm, and its derivative."""
        d, total, slope = len(self._cells), 0.0, np.zeros_like(coefficients)
        for a, b in combinations_with_replacement(range(d), 2):
            scale = length / (self._h[a] * self._h[b])
            change = _difference(_difference(coefficients, a), b) * scale
            weight = (1 if a == b else 2) / change[..., 0].size
            total += weight * float((change**2).sum())
            slope += _spread(_spread(2 * weight * scale * change, b), a)
        return total, slope

    def stretching(self, coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean square strain, and its derivative."""
        total, slope = 0.0, np.zeros_like(coefficients)
        for a, h in enumerate(self._h):
            change = _difference(coefficients, a) / h
            weight = 1 / change[..., 0].size
            total += weight * float((change**2).sum())
            slope += _spread(2 * weight / h * change, a)
        return total, slope

    def transform(self, coefficients: np.ndarray, frame: np.ndarray) -> Any:
        """The same as a 3-D SimpleITK B-spline transform in LPS mm; in 2-D alike all along the normal.

        Args:
            coefficients: of this lattice.
            frame: (4, 4) rigid, frame -> LPS mm.
        """
        import SimpleITK as sitk

        d, missing = len(self._cells), 3 - len(self._cells)
        axes = np.eye(3)
        axes[:d, :d] = self._axes
        cells = [*self._cells[::-1].tolist(), *[1] * missing]
        extents = [*(self._cells * self._h)[::-1].tolist(), *[2 * _THICK] * missing]
        corner = np.r_[self._axes @ (self._edge - self._h / 2)[::-1], [-_THICK] * missing]
        # Control points of a plane are repeated along its normal, where nothing changes.
        ways = np.zeros((*[4] * missing, *self.shape[:-1], 3))
        ways[..., :d] = coefficients
        spline = sitk.BSplineTransform(3, 3)
        spline.SetTransformDomainOrigin((frame[:3, :3] @ corner + frame[:3, 3]).tolist())
        spline.SetTransformDomainDirection((frame[:3, :3] @ axes).ravel().tolist())
        spline.SetTransformDomainPhysicalDimensions(extents)
        spline.SetTransformDomainMeshSize(cells)
        spline.SetParameters(np.moveaxis(ways @ frame[:3, :3].T, -1, 0).ravel().tolist())
        return spline


def _spline(x: np.ndarray) -> np.ndarray:
    """The cubic B-spline."""
    x = np.abs(x)
    near, far = (4 - 6 * x**2 + 3 * x**3) / 6, np.clip(2 - x, 0, None) ** 3 / 6
    return np.where(x < 1, near, far)


def _along(matrices: list[np.ndarray], array: np.ndarray) -> np.ndarray:
    """Each matrix applied along its axis; the last axis stays."""
    for axis, matrix in enumerate(matrices):
        array = np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
    return array


def _difference(array: np.ndarray, axis: int) -> np.ndarray:
    return np.diff(array, axis=axis)


def _spread(array: np.ndarray, axis: int) -> np.ndarray:
    """The transpose of `_difference`."""
    edge = [(0, 0)] * array.ndim
    edge[axis] = (1, 1)
    return -np.diff(np.pad(array, edge), axis=axis)
