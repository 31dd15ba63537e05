"""The deformable part: B-splines on a mesh that grows finer, after the rigid pose.

Free-form deformation (Rueckert et al. 1999, doi 10.1109/42.796284) computed as by Modat et al. 2010 (doi
10.1016/j.cmpb.2009.09.002): voxel by voxel on the reference's grid, so that splines are products of small matrices.
It is not ITK's, which has no bending energy: without one the displacement grew on every mesh finer than 64 mm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from MedFusionLib.errors import ParameterError
from MedFusionLib.registration.climb import Watch
from MedFusionLib.registration.frames import frame_affine
from MedFusionLib.registration.images import OBJECT, Pair, flat, smooth
from MedFusionLib.registration.information import Information
from MedFusionLib.registration.lattice import Lattice

_RIM = 0.2
"""Of the coarsest control spacing: how far around the moving object voxels still count."""


@dataclass(frozen=True)
class Mesh:
    """One step of the deformation.

    Args:
        spacing: mm between the control points.
        mm: edge of the images' voxels.
        iterations: of the optimizer at the most.
    """

    spacing: float
    mm: float
    iterations: int = 30


@dataclass(frozen=True)
class Stiffness:
    """What a deformation costs, in nats of mutual information.

    Args:
        bending: for a change of strain by 1 over the coarsest control spacing.
        stretching: for a strain of 1.
    """

    bending: float
    stretching: float


def bend(
    pair: Pair, matrix: np.ndarray, meshes: Sequence[Mesh], stiffness: Stiffness, watch: Watch
) -> tuple[Lattice, np.ndarray]:
    """The displacements u such that the reference's x lies at matrix (x + u(x)): their lattice and coefficients.

    Args:
        pair: the images.
        matrix: (D + 1, D + 1) the linear pose.
        meshes: coarse to fine.
        stiffness: against folds and fancy.
        watch: told of each iteration.
    """
    from scipy.optimize import minimize

    begin, end = watch.start, watch.stop
    work = np.cumsum([0.0, *(mesh.iterations / mesh.mm**pair.frames.dimension for mesh in meshes)])
    reached: tuple[Lattice, np.ndarray] | None = None
    for number, mesh in enumerate(meshes):
        watch.part(*(begin + (end - begin) * work[number : number + 2] / work[-1]))
        task = _Task(pair, matrix, mesh, meshes[0].spacing, stiffness)
        first = task.lattice.fitted(*reached) if reached else np.zeros(task.lattice.shape)
        result = minimize(
            task.cost,
            first.ravel(),
            jac=True,
            method="L-BFGS-B",
            callback=_counter(mesh, watch),
            options={"maxiter": mesh.iterations, "maxcor": 8, "ftol": 1e-6, "gtol": 1e-7},
        )
        reached = task.lattice, result.x.reshape(task.lattice.shape)
    watch.part(begin, end)
    if reached is None:
        raise ParameterError("Meshes of the deformation", found="none", accepted="one or more")
    return reached


def _counter(mesh: Mesh, watch: Watch) -> Callable[[np.ndarray], None]:
    done = 0

    def each(_: np.ndarray) -> None:
        nonlocal done
        done += 1
        watch.iterations += 1
        watch.tell(done / mesh.iterations, f"Bending on a mesh of {mesh.spacing:.0f} mm")

    return each


class _Task:
    """The cost of a deformation on one mesh."""

    def __init__(self, pair: Pair, matrix: np.ndarray, mesh: Mesh, length: float, stiffness: Stiffness):
        from scipy.ndimage import map_coordinates

        d = pair.frames.dimension
        fixed, moving = pair.fixed.coarse(mesh.mm), pair.moving.coarse(mesh.mm)
        to_fixed = frame_affine(fixed.grid, pair.frames.reference, d)
        step = np.linalg.inv(frame_affine(moving.grid, pair.frames.moving, d)) @ matrix
        values, self._moving = (flat(smooth(image.values), d) for image in (fixed, moving))
        self.lattice = Lattice(values.shape, to_fixed, mesh.spacing)
        self._length, self._stiffness = length, stiffness
        counted = Pair(pair.frames, fixed, moving).common(matrix, 0.0)
        counted = flat(counted if fixed.mask is None else counted & fixed.mask, d)
        index = np.argwhere(counted)
        self._turn = step[:-1, :-1]
        places = index[:, ::-1] @ to_fixed[:-1, :-1].T + to_fixed[:-1, -1]
        places = places @ self._turn.T + step[:-1, -1]
        near = _around_object(self._moving, _RIM * length / mesh.mm)
        if moving.mask is not None:
            near &= flat(moving.mask, d)
        close = map_coordinates(near.view(np.uint8), places.T[::-1], order=0, mode="nearest") > 0
        self._counted = tuple(index[close].T)
        self._start = places[close]
        self._information = Information(values[self._counted])
        # Along the moving image's own axes (i, j[, k]).
        self._slopes = [np.gradient(self._moving, axis=axis).astype(np.float32) for axis in reversed(range(d))]

    def cost(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """(what is minimized, its derivative)."""
        from scipy.ndimage import map_coordinates

        coefficients = parameters.reshape(self.lattice.shape)
        field = self.lattice.field(coefficients)
        places = (self._start + field[self._counted] @ self._turn.T).T[::-1]
        inside = ((places >= -0.5) & (places <= np.array(self._moving.shape)[:, None] - 0.5)).all(0)
        seen, *slopes = (
            map_coordinates(image, places, order=1, mode="nearest") for image in (self._moving, *self._slopes)
        )
        information, slope = self._information(np.clip(seen, 0, 1))
        forces = np.zeros_like(field)
        forces[self._counted] = (slope * inside)[:, None] * (np.stack(slopes, -1) @ self._turn)
        bending, stiff = self.lattice.bending(coefficients, self._length)
        stretching, taut = self.lattice.stretching(coefficients)
        cost = self._stiffness.bending * bending + self._stiffness.stretching * stretching - information
        slope = self._stiffness.bending * stiff + self._stiffness.stretching * taut - self.lattice.gathered(forces)
        return cost, slope.ravel()


def _around_object(image: np.ndarray, rim: float) -> np.ndarray:
    """Bool: the moving object, filled, and a rim of so many voxels. Elsewhere an image tells nothing about its pose.

    Without this the edge of a brain in PET is drawn to the skin in MR, which shares more with it than the skull does.
    """
    from scipy.ndimage import binary_dilation, binary_fill_holes

    return binary_dilation(binary_fill_holes(image > OBJECT), iterations=max(1, round(rim)))
