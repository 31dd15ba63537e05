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
from MedFusionLib.volume import Aligned, Fused, Grid, Volume, Window

if TYPE_CHECKING:
    from PIL import Image

PANEL_PX = 300
"""Height of the tallest panel, half the largest width; all panels share one scale."""

_HEAT = "hot"
_GAP, _LINE, _BAR, _NARROWEST = 8, 20, 8, 170
_TEXT, _FAINT, _LETTER = (255, 255, 255), (170, 170, 170), (255, 220, 90)


class _Column(NamedTuple):
    """One column: two lines of header, how to color a slice, and the range of its heat bar if it has one.

    `paint` takes the slices of all sources (N, h, w), of the fused volume (h, w) and of its color (h, w, 3) or None,
    and gives RGB in [0, 1].
    """

    header: tuple[str, str]
    paint: Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
    window: Window | None = None


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
    for plane, size in zip(planes, sizes, strict=True):
        slices = _slices(aligned, fused, plane, center)
        panels = [column.paint(*slices) for column in columns]
        strips.append(_row(panels, plane, size, width, position(grid, plane, center)))
    if any(column.window for column in columns):
        strips.append(_heat_bars(columns, width, _heat_of(fused)))
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
        _letters(strip, plane, place, size)
    _write(strip, (_GAP, 0), position, width, size=12, color=_LETTER)
    return strip


def _heat_bars(columns: Sequence[_Column], width: int, heat: str) -> Image.Image:
    from MedFusionLib.harmonize.color import colorize

    strip = _strip(len(columns), width, _BAR + _LINE)
    ramp = _picture(colorize(np.linspace(0, 1, width, dtype=np.float32)[None], heat), (width, _BAR))
    for number, column in enumerate(columns):
        if column.window:
            left = _left(number, width)
            strip.paste(ramp, (left, 0))
            _write(strip, (left, _BAR + 2), _number(column.window.low), width, size=12, color=_FAINT)
            high = f"{_number(column.window.high)} {column.window.unit}"
            _write(strip, (left + width, _BAR + 2), high, width, size=12, color=_FAINT, anchor="ra")
    return strip


def _slices(
    aligned: Aligned, fused: Fused, plane: Plane, center: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    sources = np.stack([cut(volume.array, aligned.grid, plane, center) for volume in aligned.volumes])
    color = None if fused.color is None else cut(fused.color.array, aligned.grid, plane, center) / np.float32(255)
    return sources, cut(fused.volume.array, aligned.grid, plane, center), color


def _sizes(grid: Grid, planes: Sequence[Plane]) -> list[tuple[int, int]]:
    """(width, height) in pixels of each view, true to the voxels' spacing, on one scale."""
    extent = [grid.shape[grid.axis_along(d)] * grid.spacing[2 - grid.axis_along(d)] for d in range(3)]
    tallest, widest = max(extent[plane.down] for plane in planes), max(extent[plane.right] for plane in planes)
    scale = PANEL_PX * min(1 / tallest, 2 / widest)
    return [(max(1, round(extent[p.right] * scale)), max(1, round(extent[p.down] * scale))) for p in planes]


def _columns(aligned: Aligned, fused: Fused) -> list[_Column]:
    heat = _heat_of(fused)

    def source(number: int) -> Callable[..., np.ndarray]:
        return lambda sources, *_: _shown(sources[number], aligned.volumes[number], heat)

    def overlay(sources: np.ndarray, *_: Any) -> np.ndarray:
        colored = [_shown(each, volume, heat) for each, volume in zip(sources, aligned.volumes, strict=True)]
        below = colored.pop(aligned.reference)
        return 0.5 * below + 0.5 * np.mean(colored, axis=0)

    columns = [
        _Column(
            (_name(volume), _range(window)),
            source(number),
            window if volume.is_functional else None,
        )
        for number, (volume, window) in enumerate(zip(aligned.volumes, aligned.windows, strict=True))
    ]
    columns.append(_Column(("Overlay, 50 %", " + ".join(aligned.modalities)), overlay))
    columns.append(_Column(_fused_header(fused.story), lambda _sources, values, _color: _gray(values)))
    if fused.color is not None:
        columns.append(_Column(("Fused, in color", ""), lambda _sources, _values, color: np.asarray(color)))
    return columns


def _name(volume: Volume) -> str:
    return volume.name if volume.modality in volume.name else f"{volume.modality}  {volume.name}"


def _heat_of(fused: Fused) -> str:
    """The color table of functional sources: the one the result was colored with, else the default."""
    used = (source.get("table") for source in fused.story.get("sources", ()))
    return next((name for name in used if name), _HEAT)


def _shown(values: np.ndarray, volume: Volume, heat: str) -> np.ndarray:
    from MedFusionLib.harmonize.color import colorize

    return colorize(values, heat) if volume.is_functional else _gray(values)


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
