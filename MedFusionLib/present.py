"""Pictures of a result: the sources, what a viewer's overlay gives, and the fused volume, side by side.

Radiological convention: the patient's right is on the viewer's left. Oblique grids are shown in their own planes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from MedFusionLib._views import ENDS, Plane, center_of, cut, index_of, planes_of, position
from MedFusionLib.errors import DataError, GeometryError
from MedFusionLib.harmonize.color import OWN_COLORS
from MedFusionLib.volume import LEVELS, Aligned, Fused, Grid, Volume, Window

if TYPE_CHECKING:
    from PIL import Image

PANEL_PX = 300
"""Height of the tallest panel, half the largest width; all panels share one scale."""

_HEAT = "hot"
_GAP, _LINE, _BAR, _NARROWEST = 8, 20, 8, 170
_TEXT, _FAINT, _LETTER = (255, 255, 255), (170, 170, 170), (255, 220, 90)


class _Slices(NamedTuple):
    """One cut through everything: sources (N, h, w), fused (h, w), its color (h, w, 3) and the chroma (h, w, 2)."""

    sources: np.ndarray
    fused: np.ndarray
    color: np.ndarray | None
    chroma: np.ndarray | None


class _Column(NamedTuple):
    """One column: two lines of header, how to color a slice, and the window and table of its heat bar if it has one.

    `paint` takes what `_slices` gives and makes RGB in [0, 1].
    """

    header: tuple[str, str]
    paint: Callable[[_Slices], np.ndarray]
    bar: tuple[Window, str] | None = None


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
    return _stacked([_composed(aligned, fused, planes_of(aligned.grid)[:1], "", at) for aligned, fused in pairs])


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
    columns, sizes = _columns(aligned, fused), _sizes(grid, planes)
    width = max(_NARROWEST, *(across for across, _ in sizes))
    strips = [_title(title, len(columns), width)] if title else []
    strips.append(_headers(columns, width))
    # A picture file does not tell what is right, left, up or down in the patient.
    placed = any(window.unit != LEVELS for window in aligned.windows)
    for plane, size in zip(planes, sizes, strict=True):
        slices = _slices(aligned, fused, plane, center)
        panels = [column.paint(slices) for column in columns]
        strips.append(_row(panels, plane, size, width, position(grid, plane, center) if placed else ""))
    if any(column.bar for column in columns):
        strips.append(_heat_bars(columns, width))
    return _stacked(strips)


def _stacked(strips: Sequence[Image.Image]) -> Image.Image:
    from PIL import Image

    picture = Image.new("RGB", (max(s.width for s in strips), sum(s.height for s in strips)))
    below = 0
    for strip in strips:
        picture.paste(strip, (0, below))
        below += strip.height
    return picture


def _strip(count: int, width: int, height: int) -> Image.Image:
    from PIL import Image

    return Image.new("RGB", (_left(count, width), height))


def _left(number: int, width: int) -> int:
    return _GAP + number * (width + _GAP)


def _title(text: str, count: int, width: int) -> Image.Image:
    strip = _strip(count, width, _GAP + _LINE)
    _write(strip, (_GAP, _GAP // 2), text, strip.width - 2 * _GAP, size=18)
    return strip


def _headers(columns: Sequence[_Column], width: int) -> Image.Image:
    strip = _strip(len(columns), width, _GAP + 2 * _LINE)
    for number, column in enumerate(columns):
        _write(strip, (_left(number, width), _GAP), column.header[0], width, size=14)
        _write(strip, (_left(number, width), _GAP + _LINE - 2), column.header[1], width, size=12, color=_FAINT)
    return strip


def _row(panels: Sequence[np.ndarray], plane: Plane, size: tuple[int, int], width: int, position: str) -> Image.Image:
    strip = _strip(len(panels), width, size[1] + _GAP)
    for number, rgb in enumerate(panels):
        place = (_left(number, width) + (width - size[0]) // 2, 0)
        strip.paste(_picture(rgb, size), place)
        if position:
            _letters(strip, plane, place, size)
    _write(strip, (_GAP, 0), position, width, size=12, color=_LETTER)
    return strip


def _heat_bars(columns: Sequence[_Column], width: int) -> Image.Image:
    from MedFusionLib.harmonize.color import colorize

    strip = _strip(len(columns), width, _BAR + _LINE)
    for number, column in enumerate(columns):
        if column.bar:
            window, table = column.bar
            left = _left(number, width)
            ramp = colorize(np.linspace(0, 1, width, dtype=np.float32)[None], table)
            strip.paste(_picture(ramp, (width, _BAR)), (left, 0))
            _write(strip, (left, _BAR + 2), _number(window.low), width, size=12, color=_FAINT)
            high = f"{_number(window.high)} {window.unit}"
            _write(strip, (left + width, _BAR + 2), high, width, size=12, color=_FAINT, anchor="ra")
    return strip


def _slices(aligned: Aligned, fused: Fused, plane: Plane, center: tuple[int, int, int]) -> _Slices:
    def through(array: np.ndarray) -> np.ndarray:
        return cut(array, aligned.grid, plane, center)

    return _Slices(
        np.stack([through(volume.array) for volume in aligned.volumes]),
        through(fused.volume.array),
        None if fused.color is None else through(fused.color.array) / np.float32(255),
        None if aligned.chroma is None else through(aligned.chroma),
    )


def _sizes(grid: Grid, planes: Sequence[Plane]) -> list[tuple[int, int]]:
    """(width, height) in pixels of each view, true to the voxels' spacing, on one scale."""
    extent = [grid.shape[grid.axis_along(d)] * grid.spacing[2 - grid.axis_along(d)] for d in range(3)]
    tallest, widest = max(extent[plane.down] for plane in planes), max(extent[plane.right] for plane in planes)
    scale = PANEL_PX * min(1 / tallest, 2 / widest)
    return [(max(1, round(extent[p.right] * scale)), max(1, round(extent[p.down] * scale))) for p in planes]


def _columns(aligned: Aligned, fused: Fused) -> list[_Column]:
    tables = _tables(aligned, fused)

    def source(number: int) -> Callable[[_Slices], np.ndarray]:
        return lambda slices: _shown(slices.sources[number], tables[number], slices.chroma)

    def overlay(slices: _Slices) -> np.ndarray:
        colored = [_shown(values, table, slices.chroma) for values, table in zip(slices.sources, tables, strict=True)]
        below = colored.pop(aligned.reference)
        return 0.5 * below + 0.5 * np.mean(colored, axis=0)

    columns = [
        _Column(
            (_name(volume), _range(window)),
            source(number),
            (window, table) if table not in (None, OWN_COLORS) else None,
        )
        for number, (volume, window, table) in enumerate(zip(aligned.volumes, aligned.windows, tables, strict=True))
    ]
    columns.append(_Column(("Overlay, 50 %", " + ".join(aligned.modalities)), overlay))
    columns.append(_Column(_fused_header(fused.story), lambda slices: _gray(slices.fused)))
    if fused.color is not None:
        columns.append(_Column(("Fused, in color", ""), lambda slices: np.asarray(slices.color)))
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
    return _gray(values) if table in (None, OWN_COLORS) else colorize(values, table)


def _gray(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


def _range(window: Window) -> str:
    return f"{_number(window.low)}..{_number(window.high)} {window.unit}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _fused_header(story: Mapping[str, Any]) -> tuple[str, str]:
    parameters = ", ".join(f"{name}={value}" for name, value in story.get("parameters", {}).items())
    return f"Fused: {story.get('method', '')}", parameters


def _picture(rgb: np.ndarray, size: tuple[int, int]) -> Image.Image:
    from PIL import Image

    levels = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)


def _letters(strip: Image.Image, plane: Plane, place: tuple[int, int], size: tuple[int, int]) -> None:
    """R L A P S I at the edges of a panel."""
    (left, top), (width, height) = place, size
    (first, last), (upper, lower) = ENDS[plane.right], ENDS[plane.down]
    for letter, where, anchor in (
        (first, (left + 3, top + height // 2), "lm"),
        (last, (left + width - 3, top + height // 2), "rm"),
        (upper, (left + width // 2, top + 1), "ma"),
        (lower, (left + width // 2, top + height - 3), "md"),
    ):
        _write(strip, where, letter, width, size=12, color=_LETTER, anchor=anchor)


def _write(
    strip: Image.Image,
    place: tuple[int, int],
    text: str,
    width: int,
    *,
    size: int,
    color: tuple[int, int, int] = _TEXT,
    anchor: str = "la",
) -> None:
    """One line with a dark rim, cut with dots where it is wider than the column."""
    from PIL import ImageDraw, ImageFont

    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(size)
    if draw.textlength(text, font) > width:
        while text and draw.textlength(text + "...", font) > width:
            text = text[:-1]
        text += "..."
    draw.text(place, text, color, font, anchor, stroke_width=1, stroke_fill=(0, 0, 0))
