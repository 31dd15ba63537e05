"""Bring volumes of one patient onto one grid and into one range: `align` is the whole step.

    grid.py  ->  resample.py  ->  check.py  ->  normalize.py  ->  color.py, mask.py

Registration will give `resample` its pose; nothing else here will change for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from MedFusionLib.errors import GeometryError
from MedFusionLib.harmonize.check import misalignment, require_overlap
from MedFusionLib.harmonize.color import blended, chroma, colorize, luma, table, uptake_of
from MedFusionLib.harmonize.grid import Spacing, common_grid
from MedFusionLib.harmonize.mask import foreground
from MedFusionLib.harmonize.normalize import window_of
from MedFusionLib.harmonize.resample import field_of_view, filled, resample
from MedFusionLib.volume import Aligned, Grid, Volume, Window

_log = logging.getLogger("MedFusionLib")

AUTOMATIC, NO_COLOR = "auto", "none"


def align(
    volumes: Sequence[Volume],
    *,
    reference: int = 0,
    spacing: Spacing = None,
    windows: Sequence[Sequence[float] | None] | None = None,
    color: str = AUTOMATIC,
    interpolation: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Aligned:
    """Put 2..N volumes on one grid, values in [0, 1].

    Args:
        volumes: the sources; they stay as they are.
        reference: index of the volume whose axes and field of view are taken.
        spacing: None for the reference's own voxels, millimeters (one or three), or "finest".
        windows: (low, high) in the volume's unit for each, None where the default of its modality is right.
        color: a table (`harmonize.color.TABLES`) that colors the functional sources; "auto" colors only if a source
            came in color, "none" never does.
        interpolation: "linear", "bspline" or "nearest" for all; by default B-spline for PET and SPECT, whose large
            voxels would show facets, linear for the rest.
        progress: called with (fraction 0..1, message); raise `Cancelled` in it to stop.

    Raises:
        GeometryError: fewer than two volumes, or a reference or spacing that cannot be.
        NoOverlapError: if a volume shares no space with the reference.
        DataError: if a volume is constant.
        UnknownNameError: if there is no such color table.
    """
    start = perf_counter()
    if len(volumes) < 2:
        raise GeometryError(
            "Volumes to fuse", found=len(volumes), accepted="2 or more", fix="Name another volume of the same patient"
        )
    chosen = _one_each(windows, len(volumes))
    if color not in (AUTOMATIC, NO_COLOR):
        table(color)
    grid = common_grid(volumes, reference, spacing)
    arrays, fields, tints, used, notes = [], [], [], [], []
    for number, volume in enumerate(volumes):
        if progress:
            progress(number / len(volumes), f"Aligning {volume.name or volume.modality}")
        field = field_of_view(volume, grid)
        require_overlap(volumes[reference], volume, field)
        array, window, tint = _on_grid(volume, grid, field, chosen[number], color, interpolation)
        arrays.append(array)
        fields.append(field)
        used.append(window)
        tints.append(tint)
    fields_array = np.stack(fields)
    for number in range(len(volumes)):
        if number != reference:
            notes += _alignment_note(volumes, arrays, fields, reference, number, grid)
    for note in notes:
        _log.warning(note)
    kept = [tint for tint in tints if tint is not None]
    if progress:
        progress(1.0, "Aligned")
    return Aligned(
        volumes=tuple(
            Volume(array, grid, volume.modality, volume.name) for array, volume in zip(arrays, volumes, strict=True)
        ),
        windows=tuple(used),
        fields=fields_array,
        mask=foreground(arrays, fields_array),
        reference=reference,
        chroma=blended(kept) if kept else None,
        story=_story(volumes, used, fields, grid, spacing, color, interpolation, notes, start),
    )


def _one_each(windows: Sequence[Sequence[float] | None] | None, count: int) -> Sequence[Sequence[float] | None]:
    if windows is None:
        return [None] * count
    if len(windows) != count:
        raise GeometryError("Intensity windows", found=len(windows), accepted=f"one for each of the {count} volumes")
    return windows


def _on_grid(
    volume: Volume,
    grid: Grid,
    field: np.ndarray,
    window: Sequence[float] | None,
    color: str,
    interpolation: str | None,
) -> tuple[np.ndarray, Window, np.ndarray | None]:
    """One volume as [0, 1] on the grid, its window, and its chroma there if it is to be colored."""
    method = interpolation or ("bspline" if volume.is_functional else "linear")
    differences = None
    if volume.is_color:
        scalar, palette = _uptake_or_luma(volume)
        if palette is None and color != NO_COLOR:
            planes = chroma(volume.array / np.float32(255))
            differences = np.stack(
                [resample(planes[..., n], volume.grid, grid, interpolation="linear") for n in range(2)], -1
            )
        palette = palette if color == AUTOMATIC else color
    else:
        scalar, palette = volume, color if volume.is_functional else None
    used = window_of(scalar, window)
    array = used.apply(resample(filled(scalar.array), volume.grid, grid, interpolation=method))
    array[~field] = 0
    if differences is None and palette not in (None, AUTOMATIC, NO_COLOR):
        differences = chroma(colorize(array, palette))
    if differences is not None:
        differences[~field] = 0
    return array, used, differences


def _uptake_or_luma(volume: Volume) -> tuple[Volume, str | None]:
    """The scalar that a color volume shows: uptake and its table's name if the table is known, else luma and None.

    Either in 0..255, so that it passes the same window as a gray picture.
    """
    known = uptake_of(volume.array) if volume.is_functional else None
    shown, palette = known if known else (luma(volume.array / np.float32(255)), None)
    return replace(volume, array=np.rint(shown * 255)), palette


def _alignment_note(
    volumes: Sequence[Volume],
    arrays: Sequence[np.ndarray],
    fields: Sequence[np.ndarray],
    reference: int,
    number: int,
    grid: Grid,
) -> list[str]:
    found = misalignment(arrays[reference], arrays[number], fields[reference] & fields[number], grid.spacing)
    if found is None:
        return []
    name = volumes[number].name or volumes[number].modality
    return [
        f"{name} looks unregistered: moved by {found[0]:.0f} mm it would share {found[1]:.1f} times the information "
        f"with {volumes[reference].name or volumes[reference].modality}. Register them first."
    ]


def _story(
    volumes: Sequence[Volume],
    windows: Sequence[Window],
    fields: Sequence[np.ndarray],
    grid: Grid,
    spacing: Spacing,
    color: str,
    interpolation: str | None,
    notes: Sequence[str],
    start: float,
) -> dict[str, Any]:
    sources = [
        {
            "name": volume.name,
            "modality": volume.modality,
            "unit": volume.unit,
            "sha256": volume.sha256,
            "shape": list(volume.grid.shape),
            "spacing_mm": list(volume.grid.spacing),
            "window": [window.low, window.high],
            "clipped_share": _clipped_share(volume, window),
            "field_of_view_share": float(field.mean()),
        }
        for volume, window, field in zip(volumes, windows, fields, strict=True)
    ]
    return {
        "sources": sources,
        "grid": {"shape": list(grid.shape), "affine": grid.affine.tolist()},
        "plan": {
            "spacing": spacing if isinstance(spacing, (str, float, int, type(None))) else list(spacing),
            "color": color,
            "interpolation": interpolation,
        },
        "notes": list(notes),
        "seconds": {"align": perf_counter() - start},
    }


def _clipped_share(volume: Volume, window: Window) -> float:
    """The share of voxels that the window cuts off."""
    if volume.is_color:
        return 0.0
    return float(((volume.array < window.low) | (volume.array > window.high)).mean())
