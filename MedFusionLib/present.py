"""Pictures of a result: the sources, what a viewer's overlay gives, and the fused volume, side by side.

Radiological convention: the patient's right is on the viewer's left. Oblique grids are shown in their own planes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from MedFusionLib._panels import Column, composed, gray, number_text, stacked
from MedFusionLib._views import Plane, center_of, cut, index_of, planes_of
from MedFusionLib.errors import DataError, GeometryError
from MedFusionLib.harmonize.color import OWN_COLORS
from MedFusionLib.volume import LEVELS, Aligned, Fused, Volume, Window

if TYPE_CHECKING:
    from PIL import Image

_HEAT = "hot"


class _Slices(NamedTuple):
    """One cut through everything: sources (N, h, w), fused (h, w), its color (h, w, 3) and the chroma (h, w, 2)."""

    sources: np.ndarray
    fused: np.ndarray
    color: np.ndarray | None
    chroma: np.ndarray | None


def montage(aligned: Aligned, fused: Fused, *, title: str = "", at: Sequence[float] | None = None) -> Image.Image:
    """One picture of sources, overlay and result, in three planes (one if the volumes are a single slice).

    Args:
        aligned: the sources; functional ones are shown in heat colors, with their range below.
        fused: the result on the same grid.
        title: a line above.
        at: RAS mm of the place to cut through; by default the center of the foreground, weighted by uptake.

    Returns:
        An RGB picture on black.

    Raises:
        GeometryError: if the result lies on another grid, or `at` outside of it.
    """
    return _composed(aligned, fused, planes_of(aligned.grid), title, at)


def sheet(pairs: Sequence[tuple[Aligned, Fused]], *, at: Sequence[float] | None = None) -> Image.Image:
    """Several results in one picture, a row each: the axial plane, or the one that a single slice is.

    Raises:
        DataError: if there is no result.
        GeometryError: as `montage`.
    """
    if not pairs:
        raise DataError("Sheet of results", found="none", accepted="one or more")
    return stacked([_composed(aligned, fused, planes_of(aligned.grid)[:1], "", at) for aligned, fused in pairs])


def save_png(image: Image.Image, path: str | os.PathLike[str]) -> Path:
    """Write a picture beside its place and move it there when it is whole; the path comes back.

    Raises:
        SaveError: if it cannot be written; what stood there is untouched.
    """
    from MedFusionLib.save import writing_beside

    with writing_beside(path) as draft:
        image.save(draft, format="PNG")
    return Path(path)


def _composed(
    aligned: Aligned, fused: Fused, planes: Sequence[Plane], title: str, at: Sequence[float] | None
) -> Image.Image:
    grid = aligned.grid
    if not fused.volume.grid.same_as(grid):
        raise GeometryError(
            "Grid of the fused volume", found=fused.volume.grid.shape, accepted=f"the sources' {grid.shape}"
        )
    center = center_of(aligned) if at is None else index_of(grid, at)
    # A picture file does not tell what is right, left, up or down in the patient.
    placed = any(window.unit != LEVELS for window in aligned.windows)
    return composed(
        _columns(aligned, fused),
        lambda plane: _slices(aligned, fused, plane, center),
        grid,
        planes,
        center,
        title=title,
        placed=placed,
    )


def _slices(aligned: Aligned, fused: Fused, plane: Plane, center: tuple[int, int, int]) -> _Slices:
    def through(array: np.ndarray) -> np.ndarray:
        return cut(array, aligned.grid, plane, center)

    return _Slices(
        np.stack([through(volume.array) for volume in aligned.volumes]),
        through(fused.volume.array),
        None if fused.color is None else through(fused.color.array) / np.float32(255),
        None if aligned.chroma is None else through(aligned.chroma),
    )


def _columns(aligned: Aligned, fused: Fused) -> list[Column]:
    tables = _tables(aligned, fused)

    def source(number: int) -> Callable[[_Slices], np.ndarray]:
        return lambda slices: _shown(slices.sources[number], tables[number], slices.chroma)

    def overlay(slices: _Slices) -> np.ndarray:
        colored = [_shown(values, table, slices.chroma) for values, table in zip(slices.sources, tables, strict=True)]
        below = colored.pop(aligned.reference)
        return 0.5 * below + 0.5 * np.mean(colored, axis=0)

    columns = [
        Column(
            (_name(volume), _range(window)),
            source(number),
            (window, table) if table not in (None, OWN_COLORS) else None,
        )
        for number, (volume, window, table) in enumerate(zip(aligned.volumes, aligned.windows, tables, strict=True))
    ]
    columns.append(Column(("Overlay, 50 %", " + ".join(aligned.modalities)), overlay))
    columns.append(Column(_fused_header(fused.story), lambda slices: gray(slices.fused)))
    if fused.color is not None:
        columns.append(Column(("Fused, in color", ""), lambda slices: np.asarray(slices.color)))
    return columns


def _name(volume: Volume) -> str:
    return volume.name if volume.modality in volume.name else f"{volume.modality}  {volume.name}"


def _tables(aligned: Aligned, fused: Fused) -> list[str | None]:
    """The color table of each source: the one it was fused with; heat for other uptake, none for other anatomy."""
    told = [source.get("table") for source in fused.story.get("sources", ())] or [None] * len(aligned.volumes)
    heat = next((table for table in told if table not in (None, OWN_COLORS)), _HEAT)
    return [
        table or (heat if volume.is_functional else None) for table, volume in zip(told, aligned.volumes, strict=True)
    ]


def _shown(values: np.ndarray, table: str | None, differences: np.ndarray | None) -> np.ndarray:
    from MedFusionLib.harmonize.color import colorize, recolor

    if table == OWN_COLORS and differences is not None:
        return recolor(values, differences)
    return gray(values) if table in (None, OWN_COLORS) else colorize(values, table)


def _range(window: Window) -> str:
    return f"{number_text(window.low)}..{number_text(window.high)} {window.unit}"


def _fused_header(story: Mapping[str, Any]) -> tuple[str, str]:
    parameters = ", ".join(f"{name}={value}" for name, value in story.get("parameters", {}).items())
    return f"Fused: {story.get('method', '')}", parameters
