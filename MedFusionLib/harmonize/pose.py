"""Where the patient lies in another volume: a transform from points of the reference to points of a moving volume.

This is the convention of ITK's transform files and of Slicer's transform nodes: what is resampled is the moving volume,
and each voxel of the reference asks where its value lies there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from MedFusionLib.errors import FileError, GeometryError, SaveError
from MedFusionLib.files.formats import LPS_TO_RAS
from MedFusionLib.files.itk import quiet_itk, reason

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from MedFusionLib.volume import Grid

LINEAR_ONLY = (".tfm", ".txt")
EXTENSIONS = (*LINEAR_ONLY, ".h5")

_FLAT = 1e-9
"""Volume ratio below which a matrix squeezes space flat and cannot be undone."""


@dataclass(frozen=True, eq=False)
class Pose:
    """A point p of the reference (RAS mm) lies at `points(p)` in the moving volume.

    Args:
        transform: a 3-D SimpleITK transform in LPS mm, reference -> moving. It must not be changed afterwards.

    Raises:
        GeometryError: if it is not 3-D, or a linear one that has no inverse.
    """

    transform: Any

    def __post_init__(self) -> None:
        dimension = self.transform.GetDimension()
        if dimension != 3:
            raise GeometryError(
                "Transform",
                found=f"{dimension}-D",
                accepted="3-D",
                fix="Save it from the program that made it as a transform of volumes, not of single slices",
            )
        if self.matrix is not None:
            _checked(self.matrix)

    @classmethod
    def from_matrix(cls, ras: np.ndarray) -> Pose:
        """The pose of a (4, 4) matrix, reference RAS mm -> moving RAS mm.

        Raises:
            GeometryError: if it is not a finite, invertible, affine (4, 4) matrix.
        """
        import SimpleITK as sitk

        lps = LPS_TO_RAS @ _checked(np.asarray(ras, np.float64)) @ LPS_TO_RAS
        transform = sitk.AffineTransform(3)
        transform.SetMatrix(lps[:3, :3].ravel().tolist())
        transform.SetTranslation(lps[:3, 3].tolist())
        return cls(transform)

    @cached_property
    def matrix(self) -> np.ndarray | None:
        """(4, 4) reference RAS mm -> moving RAS mm if the pose is linear, else None."""
        if not self.transform.IsLinear():
            return None
        ends = np.array(
            [self.transform.TransformPoint(point) for point in np.vstack([np.zeros(3), np.eye(3)]).tolist()]
        )
        lps = np.eye(4)
        lps[:3, :3] = (ends[1:] - ends[0]).T
        lps[:3, 3] = ends[0]
        return LPS_TO_RAS @ lps @ LPS_TO_RAS

    def points(self, ras: np.ndarray) -> np.ndarray:
        """Where (N, 3) points of the reference lie in the moving volume: (N, 3) RAS mm."""
        places = np.asarray(ras, np.float64).reshape(-1, 3)
        if self.matrix is not None:
            return places @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        turn = np.diag(LPS_TO_RAS)[:3]
        moved = [self.transform.TransformPoint(point) for point in (places * turn).tolist()]
        return np.array(moved).reshape(-1, 3) * turn

    def displacements(self, grid: Grid) -> np.ndarray:
        """How far each voxel of a rectangular grid is moved: (K, J, I, 3) RAS mm."""
        import SimpleITK as sitk

        lps = LPS_TO_RAS @ grid.affine
        field = sitk.TransformToDisplacementField(
            self.transform,
            sitk.sitkVectorFloat64,
            list(grid.shape[::-1]),
            lps[:3, 3].tolist(),
            list(grid.spacing),
            (lps[:3, :3] / np.asarray(grid.spacing)).ravel().tolist(),
        )
        return sitk.GetArrayFromImage(field) * np.diag(LPS_TO_RAS)[:3]

    def inverse(self) -> Pose:
        """From points of the moving volume to points of the reference.

        Raises:
            GeometryError: if the pose is deformable and its transform has no closed inverse.
        """
        if self.matrix is not None:
            return Pose.from_matrix(np.linalg.inv(self.matrix))
        try:
            with quiet_itk():
                return Pose(self.transform.GetInverse())
        except RuntimeError as error:
            raise GeometryError(
                "Inverse of a deformable pose",
                found=self.transform.GetName(),
                accepted="a linear transform",
                fix="Register the other way round, with the other volume as the reference",
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a transform file that Slicer and ITK read: `.tfm` if it is linear, `.h5` always.

        The file is written beside and then renamed: what stood there is kept if writing fails.

        Raises:
            FileError: if the extension is another, or the folder is missing.
            SaveError: if it cannot be written.
        """
        import SimpleITK as sitk

        path = Path(path).expanduser()
        fitting = EXTENSIONS if self.matrix is not None else (".h5",)
        if path.suffix.lower() not in fitting:
            kind = "linear" if self.matrix is not None else "deformable"
            raise FileError(
                f"Save the {kind} transform {path}",
                found=f"extension {path.suffix or 'none'}",
                accepted=", ".join(fitting),
                fix="Rename it",
            )
        if not path.parent.is_dir():
            raise FileError(f"Save {path}", found=f"no folder {path.parent}", fix="Make the folder first")
        # ITK chooses the format by the end of the name, so the mark goes before it.
        beside = path.with_name(f".{path.stem}-{uuid4().hex[:8]}{path.suffix.lower()}")
        try:
            with quiet_itk():
                sitk.WriteTransform(self.transform, str(beside))
            beside.replace(path)
        except (RuntimeError, OSError) as error:
            said = reason(error) if isinstance(error, RuntimeError) else error
            raise SaveError(f"Save the transform {path}", found=said, fix="Check space and permissions") from error
        finally:
            beside.unlink(missing_ok=True)


def pose_of(pose: Pose | ArrayLike) -> Pose:
    """The pose itself, or that of a (4, 4) matrix, reference RAS mm -> moving RAS mm.

    Raises:
        GeometryError: if it is not a finite, invertible, affine (4, 4) matrix.
    """
    return pose if isinstance(pose, Pose) else Pose.from_matrix(np.asarray(pose, np.float64))


def load_pose(path: str | os.PathLike[str]) -> Pose:
    """Read a transform file of ITK or Slicer, reference -> moving in LPS mm.

    Raises:
        FileError: if it is missing, damaged or of another kind.
        GeometryError: if it holds a transform of another dimension, or one that squeezes space flat.
    """
    import SimpleITK as sitk

    path = Path(path).expanduser()
    if not path.is_file():
        raise FileError(f"Transform file {path}", found="no such file", fix="Check the path")
    if path.suffix.lower() not in EXTENSIONS:
        raise FileError(
            f"Transform file {path}",
            found=f"extension {path.suffix or 'none'}",
            accepted=", ".join(EXTENSIONS),
            fix="Save it from Slicer as .tfm or .h5",
        )
    try:
        with quiet_itk():
            transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise FileError(
            f"Transform file {path}", found=reason(error), fix="It is damaged or no transform; save it anew"
        ) from error
    try:
        return Pose(transform)
    except GeometryError as error:
        raise GeometryError(
            f"Transform file {path}", found=str(error), fix="Choose the file of this pair of volumes"
        ) from error


def _checked(matrix: np.ndarray) -> np.ndarray:
    usable = matrix.shape == (4, 4) and np.isfinite(matrix).all() and np.allclose(matrix[3:], (0, 0, 0, 1))
    if not usable or abs(np.linalg.det(matrix[:3, :3])) < _FLAT:
        raise GeometryError(
            "Pose",
            found=matrix.tolist(),
            accepted="a finite, invertible (4, 4) matrix with last row 0 0 0 1",
            fix="Check the transform: it maps the reference's RAS mm to the moving volume's",
        )
    return matrix
