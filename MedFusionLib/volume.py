"""The records that travel between the steps: Grid, Volume, Window, Aligned, Fused.

All are frozen, checked when built, and hold read-only views: no step can change another's data. Array axes are
(K, J, I) as in Slicer's `arrayFromVolume`; coordinates are RAS millimeters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from MedFusionLib.errors import DataError, GeometryError, ModalityError

MODALITIES = ("CT", "MR", "PET", "SPECT", "OTHER")
FUNCTIONAL = ("PET", "SPECT")
_SYNONYMS = {"MRI": "MR", "PT": "PET", "NM": "SPECT", "ST": "SPECT"}

LEVELS = "levels"
"""Unit of 8-bit pictures: gray levels from 0 to 255."""

SAME_GRID_MM = 1e-3
"""Grids whose corners lie closer than this are one grid: far below any scanner's accuracy, above float32 headers."""

_SQUARE = 1e-4
"""Largest cosine between two axes that still counts as a right angle (0.006 degrees): float32 headers reach 1e-6."""


def modality_named(name: str) -> str:
    """The standard name of a modality: MRI -> MR, PT -> PET, NM -> SPECT, any case.

    Raises:
        ModalityError: if the name is not one of `MODALITIES` or their synonyms.
    """
    standard = _SYNONYMS.get(str(name).upper(), str(name).upper())
    if standard not in MODALITIES:
        raise ModalityError(
            "Modality",
            found=repr(name),
            accepted=", ".join(MODALITIES),
            fix="Name the modality of each volume, for example --modality CT MR",
        )
    return standard


def unit_of(array: np.ndarray, modality: str) -> str:
    """The unit of voxels that come without one: HU, LEVELS or a.u.

    A CT is in HU if it goes below 0 (an 8-bit or shifted one is not); one 8-bit slice is a picture.
    """
    if array.dtype == np.uint8 and (array.shape[0] == 1 or array.ndim == 4):
        return LEVELS
    return "HU" if modality == "CT" and bool((array < 0).any()) else "a.u."


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels lie: `(i, j, k, 1) -> RAS mm`, Slicer's IJKToRAS.

    Args:
        shape: number of voxels (K, J, I).
        affine: (4, 4) matrix; its first three columns are the steps of i, j and k.

    Raises:
        GeometryError: if the shape is empty or the affine is not finite, invertible and affine.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        if len(shape) != 3 or min(shape, default=0) < 1:
            raise GeometryError("Grid shape (K, J, I)", found=shape, accepted="three positive numbers")
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or (affine[3] != (0, 0, 0, 1)).any():
            raise GeometryError(
                "Grid affine", found=affine.tolist(), accepted="a finite (4, 4) matrix with last row 0 0 0 1"
            )
        steps = np.linalg.norm(affine[:3, :3], axis=0)
        if steps.min() == 0 or abs(np.linalg.det(affine[:3, :3] / steps)) < 1e-6:
            raise GeometryError(
                "Grid affine", found=affine.tolist(), accepted="three axes that span space (positive spacing)"
            )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", _read_only(affine))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimeters between voxel centers along (i, j, k)."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def directions(self) -> np.ndarray:
        """(3, 3) unit vectors of i, j, k as columns, in RAS."""
        return self.affine[:3, :3] / np.asarray(self.spacing)

    @property
    def is_rectangular(self) -> bool:
        """Whether the axes are at right angles (files keep only such grids; gantry tilt breaks it)."""
        cosines = self.directions.T @ self.directions - np.eye(3)
        return bool(np.abs(cosines).max() < _SQUARE)

    @property
    def corners(self) -> np.ndarray:
        """(8, 3) RAS mm of the outermost voxel centers."""
        ends = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape[::-1]], indexing="ij")).reshape(3, -1)
        return (self.affine[:3, :3] @ ends + self.affine[:3, 3:]).T

    def same_as(self, other: Grid) -> bool:
        """Whether every voxel of both lies in the same place, to `SAME_GRID_MM`."""
        return self.shape == other.shape and bool(np.abs(self.corners - other.corners).max() < SAME_GRID_MM)

    def axis_along(self, direction: int) -> int:
        """The array axis (0 = K, 1 = J, 2 = I) that runs along R/L (0), A/P (1) or S/I (2).

        Each anatomical direction gets an axis of its own, the assignment with the largest sum of cosines.
        """
        from itertools import permutations

        cosines = np.abs(self.directions)
        best = max(permutations(range(3)), key=lambda order: sum(cosines[d, order[d]] for d in range(3)))
        return 2 - best[direction]


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels with their place, kind and unit.

    Args:
        array: (K, J, I) numbers, kept as float32, or (K, J, I, 3) uint8 color. A 2-D image has K = 1.
            NaN and infinite voxels are allowed and mean "no data here".
        grid: where the voxels lie.
        modality: one of `MODALITIES` (synonyms such as MRI and PT are accepted).
        name: what people call it; never a patient's name.
        unit: HU, SUV, Bq/ml, counts, levels (0..255 of a picture) or a.u.

    Raises:
        DataError: if the array is not 3-D numbers or 3-channel uint8, or holds no finite value.
        GeometryError: if array and grid differ in shape.
        ModalityError: if the modality is unknown.
    """

    array: np.ndarray
    grid: Grid
    modality: str
    name: str = ""
    unit: str = "a.u."

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        color = array.ndim == 4 and array.shape[3] == 3 and array.dtype == np.uint8
        if not color and (array.ndim != 3 or array.dtype.kind not in "iufb"):
            raise DataError(
                f"Voxels of {self.name or 'a volume'}",
                found=f"shape {array.shape} of {array.dtype}",
                accepted="(K, J, I) real numbers or (K, J, I, 3) uint8 color",
                fix="Give one volume of a series, not all of them",
            )
        if array.shape[:3] != self.grid.shape:
            raise GeometryError(
                f"Voxels of {self.name or 'a volume'}", found=array.shape[:3], accepted=f"the grid's {self.grid.shape}"
            )
        if not color:
            array = np.ascontiguousarray(array, dtype=np.float32)
            if not np.isfinite(array).any():
                raise DataError(
                    f"Voxels of {self.name or 'a volume'}", found="no finite value", accepted="at least one number"
                )
        object.__setattr__(self, "array", _read_only(array))
        object.__setattr__(self, "modality", modality_named(self.modality))

    @property
    def label(self) -> str:
        """What messages call it: its name, or its modality if it has none."""
        return self.name or self.modality

    @property
    def is_color(self) -> bool:
        """Whether the voxels are RGB."""
        return self.array.ndim == 4

    @property
    def is_functional(self) -> bool:
        """Whether it shows uptake (PET, SPECT) rather than anatomy."""
        return self.modality in FUNCTIONAL

    @cached_property
    def sha256(self) -> str:
        """Digest of voxels and grid: says which data a result was made of, without any name."""
        digest = hashlib.sha256(repr((self.array.shape, str(self.array.dtype))).encode())
        digest.update(self.grid.affine.tobytes())
        digest.update(np.ascontiguousarray(self.array).data)
        return digest.hexdigest()

    def with_array(self, array: np.ndarray, **changes: Any) -> Volume:
        """The same volume with other voxels (and other fields, if named)."""
        return replace(self, array=array, **changes)


@dataclass(frozen=True)
class Window:
    """The affine map between a volume's own values and [0, 1]: low -> 0, high -> 1.

    Raises:
        DataError: if low and high are not two finite numbers with low < high.
    """

    low: float
    high: float
    unit: str = "a.u."

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise DataError(
                "Intensity window",
                found=f"{self.low:g} to {self.high:g} {self.unit}",
                accepted="two finite numbers, the lower first",
            )

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Map values to [0, 1] float32, clipped; NaN becomes 0."""
        scaled = (np.asarray(values, np.float32) - np.float32(self.low)) / np.float32(self.high - self.low)
        return np.nan_to_num(np.clip(scaled, 0, 1, out=scaled), copy=False, nan=0.0)

    def invert(self, values: np.ndarray) -> np.ndarray:
        """Map [0, 1] back to the volume's own unit."""
        return np.asarray(values) * (self.high - self.low) + self.low


@dataclass(frozen=True, eq=False)
class Aligned:
    """2..N volumes on one grid, values in [0, 1], with the way back to their units.

    Args:
        volumes: scalar volumes in [0, 1], in the user's order.
        windows: one a volume, the map back to its unit.
        fields: (N, K, J, I) bool, where each volume has data at all (its field of view).
        mask: (K, J, I) bool, the foreground: where any of them shows something.
        reference: index of the volume whose grid this is, and which is kept outside the foreground.
        chroma: (K, J, I, 2) float32 color differences (B - Y, R - Y) to carry into the result, or None if gray.
        poses: one a volume, where the reference's points lie in it (`harmonize.pose.Pose`); None where it did not move.
        story: what was done to get here.

    Raises:
        GeometryError: if the parts differ in shape or grid.
        DataError: if values leave [0, 1].
    """

    volumes: tuple[Volume, ...]
    windows: tuple[Window, ...]
    fields: np.ndarray
    mask: np.ndarray
    reference: int = 0
    chroma: np.ndarray | None = None
    poses: tuple[Any, ...] = ()
    story: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, shape = len(self.volumes), self.grid.shape
        if count < 2 or len(self.windows) != count:
            raise GeometryError(
                "Aligned volumes", found=f"{count} volumes, {len(self.windows)} windows", accepted="2 or more of both"
            )
        for volume in self.volumes:
            if not volume.grid.same_as(self.grid):
                raise GeometryError(
                    f"Grid of {volume.name}", found=volume.grid.shape, accepted=f"the reference's {shape}"
                )
            if volume.is_color or not (volume.array.min() >= 0 and volume.array.max() <= 1):
                raise DataError(
                    f"Values of {volume.name}",
                    found="color" if volume.is_color else f"{volume.array.min():g} to {volume.array.max():g}",
                    accepted="scalars in [0, 1]",
                    fix="Pass the volumes through align() first",
                )
        wanted = {"fields": (count, *shape), "mask": shape}
        if self.chroma is not None:
            wanted["chroma"] = (*shape, 2)
        for name, expected in wanted.items():
            array = getattr(self, name)
            if array.shape != expected:
                raise GeometryError(f"Aligned {name}", found=array.shape, accepted=str(expected))
            object.__setattr__(self, name, _read_only(array))

    @property
    def grid(self) -> Grid:
        """The one grid all volumes lie on."""
        return self.volumes[0].grid

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality of each volume, in their order."""
        return tuple(volume.modality for volume in self.volumes)


@dataclass(frozen=True, eq=False)
class Fused:
    """The result: scalar volume in [0, 1], its color rendering if any, and how it was made.

    Args:
        volume: (K, J, I) float32 in [0, 1], unit a.u.
        color: (K, J, I, 3) uint8 volume, or None if no source has color.
        story: sources and sha256, plan, method, parameters, versions, device, seconds, clipped share, notes.
        poses: as the aligned sources had them.
    """

    volume: Volume
    color: Volume | None
    story: Mapping[str, Any]
    poses: tuple[Any, ...] = ()

    @property
    def shown(self) -> Volume:
        """What a viewer should show: the color volume where there is one."""
        return self.volume if self.color is None else self.color
