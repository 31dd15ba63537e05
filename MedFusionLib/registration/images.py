"""What registration sees of two volumes: scalars in [0, 1] at any resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from MedFusionLib.errors import DataError, GeometryError
from MedFusionLib.harmonize.color import along_palette, luma, uptake_of
from MedFusionLib.harmonize.mask import noise_floor
from MedFusionLib.harmonize.normalize import window_of
from MedFusionLib.harmonize.resample import filled
from MedFusionLib.registration.frames import Frames, frame_affine
from MedFusionLib.volume import LEVELS, Grid, Volume, Window

_SAMPLED = 96
"""Voxels a side that the intensity window is taken from."""

_LEAST_RANGE = 1e-3
_FEWEST = 100
"""Voxels above the noise from which ranks are taken."""

OBJECT = 0.1
"""Values above it show the object: what lies above the noise has at least half this rank, and a value of its own."""


@dataclass(frozen=True)
class Image:
    """What registration sees of one volume.

    Args:
        values: (K, J, I) float32 in [0, 1].
        grid: where they lie.
        mask: (K, J, I) bool where the voxels count, or None for all.
    """

    values: np.ndarray
    grid: Grid
    mask: np.ndarray | None = None

    def coarse(self, mm: float) -> Image:
        """Means over blocks of about `mm` along each axis, never finer than the voxels.

        Only voxels of the mask count; blocks with none of them take the nearest block's value.
        """
        factors = [max(1, round(mm / step)) for step in self.grid.spacing[::-1]]
        factors = [min(f, max(1, n // 4)) if n > 1 else 1 for f, n in zip(factors, self.grid.shape, strict=True)]
        if max(factors) == 1:
            return self if self.mask is None else replace(self, values=filled(np.where(self.mask, self.values, np.nan)))
        affine = self.grid.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ ((np.array(factors[::-1]) - 1) / 2)
        affine[:3, :3] *= factors[::-1]
        if self.mask is None:
            small = _means(self.values, factors)
            return Image(small, Grid(small.shape, affine))
        weight = _means(self.mask.astype(np.float32), factors)
        sums = _means(np.where(self.mask, self.values, 0), factors)
        small = np.divide(sums, weight, out=np.full_like(sums, np.nan), where=weight > 0)
        return Image(filled(small), Grid(small.shape, affine), weight > 0.5)

    def itk(self, frame: np.ndarray, dimension: int) -> Any:
        """The values as a SimpleITK image in the coordinates of a frame (2-D: K must be 1)."""
        return _itk(self.values, self.grid, frame, dimension)

    def itk_mask(self, frame: np.ndarray, dimension: int) -> Any:
        """The mask likewise, None if there is none."""
        return None if self.mask is None else _itk(self.mask.astype(np.uint8), self.grid, frame, dimension)


@dataclass(frozen=True)
class Pair:
    """Two images ready to be compared.

    Args:
        frames: where the frame of comparison lies.
        fixed: the reference.
        moving: the other.
    """

    frames: Frames
    fixed: Image
    moving: Image

    def common(self, matrix: np.ndarray, margin: float) -> np.ndarray:
        """(K, J, I) bool: the reference's voxels that a pose puts at least `margin` mm inside the moving field of view.

        Args:
            matrix: (D + 1, D + 1) in the frame.
            margin: mm; no more than an eighth of the field of view is taken from either side of it.
        """
        d = self.frames.dimension
        to_fixed = frame_affine(self.fixed.grid, self.frames.reference, d)
        step = np.linalg.inv(frame_affine(self.moving.grid, self.frames.moving, d)) @ matrix @ to_fixed
        axes = np.ogrid[tuple(slice(n) for n in self.fixed.grid.shape[3 - d :])][::-1]
        inside = np.ones(self.fixed.grid.shape[3 - d :], bool)
        for row, count, edge in zip(step, self.moving.grid.shape[::-1][:d], self.moving.grid.spacing, strict=False):
            along = sum((part * axis for part, axis in zip(row[:-1], axes, strict=True)), row[-1])
            kept = min(margin / edge, count / 8)
            inside &= (along >= kept - 0.5) & (along <= count - 0.5 - kept)
        return inside.reshape(self.fixed.grid.shape)

    @property
    def swapped(self) -> Pair:
        """The same with the roles exchanged."""
        frames = Frames(self.frames.dimension, self.frames.moving, self.frames.reference)
        return Pair(frames, self.moving, self.fixed)


def seen(volume: Volume, mm: float, mask: np.ndarray | None = None) -> Image:
    """What registration compares of a volume, in voxels of about `mm` or its own.

    Uptake where color can be turned back into it, else the way along its palette, else luma; windowed as for fusion,
    then half way equalized: every bin of the histograms gets its share of the object, so that faint uptake and soft
    tissue count beside hot spots and bone.

    Args:
        volume: scalar or color; voxels without a number do not count.
        mm: edge of the voxels.
        mask: (K, J, I) bool, the voxels that count.

    Raises:
        DataError: if it is constant.
        GeometryError: if the mask has another shape.
    """
    if mask is not None and mask.shape != volume.grid.shape:
        raise GeometryError(f"Mask of {volume.label}", found=mask.shape, accepted=f"its shape {volume.grid.shape}")
    scalar = _scalar(volume)
    finite = np.isfinite(scalar.array)
    if not finite.all():
        mask = finite if mask is None else finite & mask
    window = _window(scalar)
    image = Image(window.apply(scalar.array), volume.grid, mask).coarse(mm)
    if np.ptp(image.values) < _LEAST_RANGE:
        found = f"values {np.nanmin(scalar.array):g} to {np.nanmax(scalar.array):g} {scalar.unit}"
        raise DataError(
            f"Registration of {volume.label}",
            found=f"{found}, all alike in its window {window.low:g} to {window.high:g}",
            accepted="an image with structure",
            fix="Choose another volume, or fuse without registration",
        )
    return replace(image, values=_half_equalized(image.values))


def _window(scalar: Volume) -> Window:
    """Its usual window, from a thinned copy where that shows anything."""
    every = tuple(slice(None, None, max(1, n // _SAMPLED)) for n in scalar.grid.shape)
    thinned = scalar.array[every]
    finite = thinned[np.isfinite(thinned)]
    if not finite.size or np.ptp(finite) == 0:
        return window_of(scalar)
    return window_of(Volume(thinned, Grid(thinned.shape, np.eye(4)), scalar.modality, scalar.name, scalar.unit))


def _half_equalized(values: np.ndarray) -> np.ndarray:
    """The mean of the values and their ranks among those above the noise, (K, J, I) float32 in [0, 1]."""
    every = tuple(slice(None, None, max(1, n // _SAMPLED)) for n in values.shape)
    thinned = values[every]
    floor = noise_floor(thinned, np.ones(thinned.shape, bool))
    shown = thinned[thinned > floor]
    if shown.size < _FEWEST:
        return values
    levels, first = np.unique(np.quantile(shown, np.linspace(0, 1, 65)), return_index=True)
    ranks = OBJECT + (1 - OBJECT) * np.linspace(0, 1, 65)[first]
    curve = np.interp(np.linspace(0, 1, 4096), np.r_[0, levels], np.r_[0, ranks])
    return ((values + curve[np.rint(values * 4095).astype(np.intp)]) / 2).astype(np.float32)


def _scalar(volume: Volume) -> Volume:
    if not volume.is_color:
        return volume
    return volume.with_array(np.rint(_gray(volume) * 255), unit=LEVELS)


def _gray(volume: Volume) -> np.ndarray:
    """Uptake, else what grows with it, else luma: (K, J, I) in [0, 1]."""
    if volume.is_functional:
        known = uptake_of(volume.array)
        way = along_palette(volume.array) if known is None else known[0]
        if way is not None:
            return way
    return luma(volume.array / np.float32(255))


def _means(values: np.ndarray, factors: list[int]) -> np.ndarray:
    """Block by block along one axis after the other: the first sum already makes the rest small."""
    for axis, f in enumerate(factors):
        if f > 1:
            cut = values.take(range(values.shape[axis] // f * f), axis) if values.shape[axis] % f else values
            shape = (*cut.shape[:axis], cut.shape[axis] // f, f, *cut.shape[axis + 1 :])
            values = cut.reshape(shape).mean(axis + 1, dtype=np.float32)
    return values


def smooth(values: np.ndarray) -> np.ndarray:
    """Half a voxel of blur: the kinks of linear interpolation between sharp voxels are local optima."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, 0.5 * (np.array(values.shape) > 1), mode="nearest")


def flat(array: np.ndarray, dimension: int) -> np.ndarray:
    """(K, J, I) as it is in 3-D, (J, I) of a slice in 2-D."""
    return array if dimension == 3 else array[0]


def _itk(values: np.ndarray, grid: Grid, frame: np.ndarray, dimension: int) -> Any:
    import SimpleITK as sitk

    affine = frame_affine(grid, frame, dimension)
    image = sitk.GetImageFromArray(values if dimension == 3 else values[0])
    steps = affine[:-1, :-1]
    spacing = np.linalg.norm(steps, axis=0)
    image.SetOrigin(affine[:-1, -1].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((steps / spacing).ravel().tolist())
    return image
