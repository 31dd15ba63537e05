"""The deformable part: B-splines on a mesh that grows finer, after the affine pose.

Free-form deformation (Rueckert et al. 1999, doi 10.1109/42.796284) on SimpleITK's registration framework.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from MedFusionLib.registration.climb import Level, Watch, linear, prepared
from MedFusionLib.registration.images import Pair

_ITERATIONS = 40
_THICK = 1000.0
"""mm on either side of a slice for which its deformation is told."""


@dataclass(frozen=True)
class Mesh:
    """One step of the deformation.

    Args:
        spacing: mm between the control points.
        level: of the images.
    """

    spacing: float
    level: Level


def bend(pair: Pair, matrix: np.ndarray, meshes: list[Mesh], seed: int, watch: Watch) -> Any:
    """The B-spline transform B in the frame such that the reference's x lies at matrix B(x).

    Args:
        pair: the images.
        matrix: (D + 1, D + 1) the affine pose.
        meshes: coarse to fine.
        seed: of the sampling.
        watch: told of each iteration.
    """
    import SimpleITK as sitk

    spline: Any = None
    begin, end = watch.start, watch.stop
    for number, mesh in enumerate(meshes):
        watch.part(*(begin + (end - begin) * np.array([number, number + 1]) / len(meshes)))
        fixed, moving, method = prepared(pair, matrix, mesh.level, seed + number)
        extents = np.array(fixed.GetSize()) * fixed.GetSpacing()
        cells = np.maximum(1, np.rint(extents / mesh.spacing)).astype(int).tolist()
        finer = sitk.BSplineTransformInitializer(fixed, cells, 3)
        if spline is not None:
            finer = _refined(spline, finer)
        spline = finer
        method.SetMovingInitialTransform(linear("affine", matrix, np.zeros(len(cells))))
        method.SetInitialTransform(spline, inPlace=True)
        method.SetOptimizerAsLBFGSB(1e-6, _ITERATIONS, 5, 1000, 1e8)
        watch.execute(method, fixed, moving, f"Bending on a mesh of {mesh.spacing:.0f} mm", _ITERATIONS)
        spline = sitk.BSplineTransform(spline)
    watch.part(begin, end)
    return spline


def _refined(coarse: Any, fine: Any) -> Any:
    """The coarse spline on the finer mesh."""
    import SimpleITK as sitk

    images = []
    for target, source in zip(fine.GetCoefficientImages(), coarse.GetCoefficientImages(), strict=True):
        upsampled = sitk.Resample(source, target, sitk.Transform(), sitk.sitkBSpline)
        images.append(sitk.BSplineDecomposition(upsampled, 3))
    return sitk.BSplineTransform(images, 3)
