"""Bring volumes of one patient onto one grid and into one range: `align` is the whole step.

    grid.py  ->  resample.py  ->  check.py  ->  normalize.py  ->  color.py, mask.py

A pose (pose.py), found by `MedFusionLib.registration` or read from a file, goes straight to `resample`: whatever it is
made of, each voxel is interpolated once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from MedFusionLib.errors import GeometryError, ParameterError
from MedFusionLib.harmonize.check import misalignment, require_overlap
from MedFusionLib.harmonize.color import OWN_COLORS, TABLES, blended, chroma, colorize, luma, table, uptake_of
from MedFusionLib.harmonize.grid import Region, Spacing, common_grid
from MedFusionLib.harmonize.mask import foreground
from MedFusionLib.harmonize.normalize import window_of
from MedFusionLib.harmonize.pose import Pose, pose_of
from MedFusionLib.harmonize.resample import INTERPOLATIONS, field_of_view, filled, resample
from MedFusionLib.volume import LEVELS, Aligned, Grid, Volume, Window

_log = logging.getLogger("MedFusionLib")

_AIR = -500
"""Only a CT goes so far below zero."""

AUTOMATIC, NO_COLOR = "auto", "none"


def align(
    volumes: Sequence[Volume],
    *,
    reference: int = 0,
    spacing: Spacing = None,
    region: Region = None,
    windows: Sequence[Sequence[float] | None] | None = None,
    color: str = AUTOMATIC,
    interpolation: str | None = None,
    poses: Sequence[Pose | ArrayLike | None] | None = None,
    grid: Grid | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Aligned:
    """Put 2..N volumes on one grid, values in [0, 1].

    Args:
        volumes: the sources; they stay as they are.
        reference: index of the volume whose axes and field of view are taken.
        spacing: None for the reference's own voxels, millimeters (one or three), or "finest".
        region: two opposite corners (RAS mm) of the box to fuse; None takes all of the reference.
        windows: (low, high) in the volume's unit for each, None where the default of its modality is right.
        color: a table (`harmonize.color.TABLES`) that colors the functional sources; "auto" colors only if a source
            came in color, "none" never does.
        interpolation: "linear", "bspline" or "nearest" for all; by default B-spline for PET and SPECT, whose large
            voxels would show facets, linear for the rest.
        poses: one for each volume, None where it lies in its place: a `Pose`, or the (4, 4) matrix of one, reference
            RAS mm -> that volume's RAS mm.
        grid: bring them to this grid instead, for example that of an image to compare with.
        progress: called with (fraction 0..1, message); raise `Cancelled` in it to stop.

    Raises:
        GeometryError: fewer than two volumes, or a reference, a spacing, a region or a pose that cannot be.
        NoOverlapError: if a volume shares no space with the reference.
        DataError: if a volume is constant.
        UnknownNameError: if there is no such color table.
        ParameterError: if there is no such interpolation.
    """
    start, total = perf_counter(), len(volumes)
    chosen = _checked(volumes, windows, color, interpolation)
    grid = grid or common_grid(volumes, reference, spacing, region)
    placed = _poses(poses, total, reference)
    arrays, fields, used, tints, tables = [], [], [], [], []
    for number, (volume, window, pose) in enumerate(zip(volumes, chosen, placed, strict=True)):
        _tell(progress, 0.7 * number / total, f"Placing {volume.label}")
        field = field_of_view(volume, grid, pose)
        require_overlap(volumes[reference], volume, field)
        _tell(progress, 0.7 * (number + 0.3) / total, f"Resampling {volume.label}")
        shown = _shown(volume, color)
        array, actual, tint = _on_grid(shown, field, grid, window, interpolation, pose)
        arrays.append(array)
        fields.append(field)
        used.append(actual)
        tints += [] if tint is None else [tint]
        tables.append(shown.table or (None if shown.carried is None else OWN_COLORS))
    _tell(progress, 0.7, "Checking the alignment")
    notes = _doubts(volumes)
    if color in TABLES and not tints:
        notes.append(f"Nothing was colored by {color}: no source is PET or SPECT")
    notes += _alignment_notes(volumes, arrays, fields, reference, grid)
    for note in notes:
        _log.warning(note)
    _tell(progress, 0.8, "Finding the foreground")
    every = np.stack(fields)
    mask = foreground(arrays, every)
    _tell(progress, 0.9, "Keeping the story")
    story = {
        "sources": [_told(*each) for each in zip(volumes, used, tables, fields, strict=True)],
        "grid": {"shape": list(grid.shape), "affine": grid.affine.tolist()},
        "plan": {
            "reference": int(reference),
            "spacing": spacing if isinstance(spacing, (str, type(None))) else np.asarray(spacing, float).tolist(),
            "region": None if region is None else np.asarray(region, float).tolist(),
            "windows": [[window.low, window.high] for window in used],
            "color": color,
            "interpolation": interpolation,
            **_told_poses(placed),
        },
        "notes": notes,
        "seconds": {"align": perf_counter() - start},
    }
    _tell(progress, 1.0, "Aligned")
    on_grid = zip(arrays, volumes, strict=True)
    return Aligned(
        volumes=tuple(Volume(array, grid, volume.modality, volume.name) for array, volume in on_grid),
        windows=tuple(used),
        fields=every,
        mask=mask,
        reference=int(reference),
        chroma=blended(tints) if tints else None,
        poses=placed,
        story=story,
    )


def unmoved(volume: Volume, grid: Grid, window: Window) -> np.ndarray:
    """What `align` would make of a volume without a pose: (K, J, I) float32 in [0, 1], for comparing before with after.

    Args:
        volume: as it was given to `align`.
        grid: of the aligned volumes.
        window: that was used.
    """
    field = field_of_view(volume, grid)
    return _on_grid(_shown(volume, NO_COLOR), field, grid, (window.low, window.high), None, None)[0]


def _tell(progress: Callable[[float, str], None] | None, fraction: float, message: str) -> None:
    if progress:
        progress(fraction, message)


def _checked(
    volumes: Sequence[Volume], windows: Sequence[Sequence[float] | None] | None, color: str, interpolation: str | None
) -> Sequence[Sequence[float] | None]:
    """See that the choices can be; the windows, one for each volume."""
    if len(volumes) < 2:
        raise GeometryError(
            "Volumes to fuse", found=len(volumes), accepted="2 or more", fix="Name another volume of the same patient"
        )
    if color not in (AUTOMATIC, NO_COLOR):
        table(color)
    if interpolation not in (None, *INTERPOLATIONS):
        raise ParameterError("Interpolation", found=repr(interpolation), accepted=", ".join(INTERPOLATIONS))
    if windows is None:
        return [None] * len(volumes)
    if len(windows) != len(volumes):
        raise GeometryError("Intensity windows", found=len(windows), accepted=f"one for each of {len(volumes)} volumes")
    return windows


def _poses(poses: Sequence[Pose | ArrayLike | None] | None, count: int, reference: int) -> tuple[Pose | None, ...]:
    """A pose or None for each volume."""
    if poses is None:
        return (None,) * count
    if len(poses) != count:
        raise GeometryError("Poses", found=len(poses), accepted=f"one for each of {count} volumes, None where it stays")
    if poses[reference] is not None:
        raise GeometryError(
            "Pose of the reference",
            found="a transform",
            accepted="none: it lies where it lies, and the others are brought to it",
            fix="Give the transform of the other volume, or choose another reference",
        )
    return tuple(None if pose is None else pose_of(pose) for pose in poses)


def _told_poses(poses: Sequence[Pose | None]) -> dict[str, Any]:
    """The poses as a plan can hold them: nothing if there is none, or one that no matrix tells."""
    matrices = [np.eye(4) if pose is None else pose.matrix for pose in poses]
    if not any(poses) or any(matrix is None for matrix in matrices):
        return {}
    return {"poses": [pose and np.asarray(matrix).tolist() for pose, matrix in zip(poses, matrices, strict=True)]}


@dataclass(frozen=True)
class _Shown:
    """What of a volume is fused, and where its color comes from.

    Args:
        scalar: the volume itself, the uptake its palette was made of, or its luma.
        table: color table to apply to the scalar, or None.
        carried: (K, J, I, 2) chroma to carry along instead, or None.
    """

    scalar: Volume
    table: str | None = None
    carried: np.ndarray | None = None


def _shown(volume: Volume, color: str) -> _Shown:
    """Uptake where it can be had, else luma; colored by the chosen table, else by the volume's own colors."""
    chosen = color if color in TABLES else None
    if not volume.is_color:
        return _Shown(volume, chosen if volume.is_functional else None)
    known = uptake_of(volume.array) if volume.is_functional else None
    if known:
        uptake, own = known
        painted = chosen or (own if color == AUTOMATIC else None)
        return _Shown(replace(volume, array=np.rint(uptake * 255), unit=LEVELS), painted)
    rgb = volume.array / np.float32(255)
    gray = replace(volume, array=np.rint(luma(rgb) * 255), unit=LEVELS)
    return _Shown(gray, carried=None if color == NO_COLOR else chroma(rgb))


def _on_grid(
    shown: _Shown,
    field: np.ndarray,
    grid: Grid,
    window: Sequence[float] | None,
    interpolation: str | None,
    pose: Pose | None,
) -> tuple[np.ndarray, Window, np.ndarray | None]:
    """The scalar in [0, 1] on the grid, its window, and its chroma there if it has color."""
    volume = shown.scalar
    method = interpolation or ("bspline" if volume.is_functional else "linear")
    used = window_of(volume, window)
    array = used.apply(resample(filled(volume.array), volume.grid, grid, interpolation=method, pose=pose))
    array[~field] = 0
    if shown.table:
        tint = chroma(colorize(array, shown.table))
    elif shown.carried is not None:
        planes = (shown.carried[..., n] for n in range(2))
        tint = np.stack([resample(plane, volume.grid, grid, interpolation="linear", pose=pose) for plane in planes], -1)
    else:
        return array, used, None
    tint[~field] = 0
    return array, used, tint


def _alignment_notes(
    volumes: Sequence[Volume],
    arrays: Sequence[np.ndarray],
    fields: Sequence[np.ndarray],
    reference: int,
    grid: Grid,
) -> list[str]:
    """A sentence for each volume that looks unregistered."""
    notes = []
    for number, volume in enumerate(volumes):
        domain = fields[reference] & fields[number]
        found = number != reference and misalignment(arrays[reference], arrays[number], domain, grid.spacing)
        if found:
            fixed = volumes[reference].label
            notes.append(
                f"{volume.label} looks unregistered: moved by {found[0]:.0f} mm it would share "
                f"{found[1]:.1f} times the information with {fixed}. Register them first (registration: rigid)."
            )
    return notes


def _doubts(volumes: Sequence[Volume]) -> list[str]:
    """A sentence for whatever in the volumes looks like a mistake but need not be one."""
    notes, seen = [], dict[str, str]()
    for volume in volumes:
        name, values = volume.label, volume.array[np.isfinite(volume.array)]
        low, high, missing = values.min(), values.max(), volume.array.size - values.size
        if volume.modality == "CT" and volume.unit == "a.u.":
            notes.append(f"{name} is said to be CT, but {low:g} to {high:g} is no range of HU: shown by its own range")
        if volume.modality in ("MR", "PET", "SPECT") and low < _AIR:
            notes.append(f"{name} is said to be {volume.modality}, but goes down to {low:g}: is it a CT?")
        if missing:
            notes.append(f"{name} has no number in {missing} of its voxels; they count as outside its field of view")
        if volume.sha256 in seen:
            notes.append(f"{name} and {seen[volume.sha256]} are the same image")
        seen[volume.sha256] = name
    return notes


def _told(volume: Volume, window: Window, table: str | None, field: np.ndarray) -> dict[str, Any]:
    """What the story keeps of a source: never its voxels, never a patient's name."""
    cut = 0.0 if volume.is_color else ((volume.array < window.low) | (volume.array > window.high)).mean()
    return {
        "name": volume.name,
        "modality": volume.modality,
        "unit": volume.unit,
        "sha256": volume.sha256,
        "shape": list(volume.grid.shape),
        "spacing_mm": list(volume.grid.spacing),
        "window": [window.low, window.high],
        "table": table,
        "clipped_share": float(cut),
        "field_of_view_share": float(field.mean()),
    }
