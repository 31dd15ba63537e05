"""Where two images are compared: in the patient, or in the plane of two slices.

The frame of volumes is the patient's (LPS mm). That of two single slices is the plane of the reference: two numbers a
point, and `Frames` knows the way from each plane to the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from MedFusionLib.errors import GeometryError
from MedFusionLib.files.formats import LPS_TO_RAS
from MedFusionLib.volume import Grid

_PARALLEL = 0.5
"""Least cosine between the normals of two slices that are registered in their plane."""


@dataclass(frozen=True)
class Frames:
    """How the frame in which two images are compared lies in the patient.

    Args:
        dimension: 3 for volumes, 2 for slices.
        reference: (4, 4) frame -> LPS mm for points of the reference.
        moving: (4, 4) likewise for points of the moving image.
    """

    dimension: int
    reference: np.ndarray
    moving: np.ndarray

    @classmethod
    def of(cls, reference: Grid, moving: Grid) -> Frames:
        """The frame for two grids.

        Raises:
            GeometryError: one slice against a volume, or two slices that are not nearly parallel.
        """
        flat = [grid.shape[0] == 1 for grid in (reference, moving)]
        if not any(flat):
            return cls(3, np.eye(4), np.eye(4))
        if not all(flat):
            raise GeometryError(
                "Registration",
                found=f"{_shape(reference)} against {_shape(moving)} voxels: one slice and a volume",
                accepted="two volumes, or two single slices",
                fix="Load the whole series of which the slice is one",
            )
        return cls(2, *_planes(LPS_TO_RAS @ reference.affine, LPS_TO_RAS @ moving.affine))

    def lifted(self, matrix: np.ndarray) -> np.ndarray:
        """(4, 4) reference RAS mm -> moving RAS mm of a (D + 1, D + 1) matrix in the frame."""
        kept = [*range(self.dimension), 3]
        inner = np.eye(4)
        inner[np.ix_(kept, kept)] = matrix
        return LPS_TO_RAS @ self.moving @ inner @ np.linalg.inv(self.reference) @ LPS_TO_RAS

    def warped(self, transform: Any, points: np.ndarray) -> np.ndarray:
        """Where a transform of the patient (LPS mm) puts (N, D) points of the reference's frame."""
        d = self.dimension
        full = np.c_[points, np.zeros((len(points), 3 - d)), np.ones(len(points))] @ self.reference.T
        moved = np.array([transform.TransformPoint(point) for point in full[:, :3].tolist()])
        return (np.c_[moved, np.ones(len(moved))] @ np.linalg.inv(self.reference).T)[:, :d]

    def lowered(self, ras: np.ndarray) -> np.ndarray:
        """(D + 1, D + 1) matrix in the frame of a (4, 4) one in RAS mm; in 2-D what it does across is left out."""
        kept = [*range(self.dimension), 3]
        inner = np.linalg.inv(self.moving) @ LPS_TO_RAS @ ras @ LPS_TO_RAS @ self.reference
        return inner[np.ix_(kept, kept)]


def frame_affine(grid: Grid, frame: np.ndarray, dimension: int) -> np.ndarray:
    """(D + 1, D + 1) from voxel index (i, j and, in 3-D, k) to coordinates of a frame."""
    affine = np.linalg.solve(frame, LPS_TO_RAS @ grid.affine)
    kept = [*range(dimension), 3]
    return affine[np.ix_(kept, kept)]


def _planes(reference: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames in the planes of two slices, the moving one's turned as little as can be from the reference's."""
    fixed = _plane(reference)
    normal = np.cross(moving[:3, 0], moving[:3, 1])
    normal /= np.linalg.norm(normal)
    cosine = normal @ fixed[:3, 2]
    if abs(cosine) < _PARALLEL:
        raise GeometryError(
            "Registration of two slices",
            found=f"planes at {np.degrees(np.arccos(abs(cosine))):.0f} degrees to each other",
            accepted="slices of one orientation",
            fix="Register the volumes they are slices of",
        )
    other = np.eye(4)
    other[:3, 2] = normal * np.sign(cosine)
    other[:3, 0] = fixed[:3, 0] - (fixed[:3, 0] @ other[:3, 2]) * other[:3, 2]
    other[:3, 0] /= np.linalg.norm(other[:3, 0])
    other[:3, 1] = np.cross(other[:3, 2], other[:3, 0])
    other[:3, 3] = fixed[:3, 3] + other[:3, 2] * (other[:3, 2] @ (moving[:3, 3] - fixed[:3, 3]))
    return fixed, other


def _plane(affine: np.ndarray) -> np.ndarray:
    """(4, 4) right-handed frame: u along i, v in the plane, w across, at the first voxel."""
    frame = np.eye(4)
    frame[:3, 0] = affine[:3, 0] / np.linalg.norm(affine[:3, 0])
    frame[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1])
    frame[:3, 2] /= np.linalg.norm(frame[:3, 2])
    frame[:3, 1] = np.cross(frame[:3, 2], frame[:3, 0])
    frame[:3, 3] = affine[:3, 3]
    return frame


def _shape(grid: Grid) -> str:
    return " x ".join(str(n) for n in grid.shape[::-1])
