"""Voxels and matrices between VTK and NumPy: machinery of `mrml`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from MedFusionLib.errors import DataError


def voxels_of(node: Any) -> np.ndarray:
    """A copy of the voxels: (K, J, I), or with as many components as there are in the type there is.

    A single 8-bit slice stays 8-bit, so that it is known for a picture.
    """
    from vtk.util.numpy_support import vtk_to_numpy

    image = node.GetImageData()
    scalars = image and image.GetPointData().GetScalars()
    if not scalars:
        raise DataError(f"Volume {node.GetName()}", found="no voxels", fix="Load it again, or choose another volume")
    shape = image.GetDimensions()[::-1]
    array = vtk_to_numpy(scalars)
    return array.reshape(shape).copy() if array.ndim == 1 else array.reshape(*shape, -1).copy()


def image_of(array: np.ndarray) -> Any:
    """A vtkImageData with a copy of (K, J, I) or (K, J, I, 3) voxels."""
    from vtk import vtkImageData
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtkImageData()
    image.SetDimensions(array.shape[2::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(array.reshape(-1, *array.shape[3:]), deep=True))
    return image


def matrix_of(array: np.ndarray) -> Any:
    """The vtkMatrix4x4 of a (4, 4)."""
    from vtk import vtkMatrix4x4

    matrix = vtkMatrix4x4()
    matrix.DeepCopy(array.ravel())
    return matrix


def filled(getter: Callable[[Any], Any]) -> np.ndarray:
    """(4, 4) of a method that fills a vtkMatrix4x4."""
    from vtk import vtkMatrix4x4

    matrix = vtkMatrix4x4()
    getter(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
