"""Columns of slices put together into one picture: headers, panels, scales (machinery of `present`, `matching`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from MedFusionLib._views import ENDS, Plane, position
from MedFusionLib.volume import Grid, Window

if TYPE_CHECKING:
    from PIL import Image

PANEL_PX = 300
"""Height of the tallest panel, half the largest width; all panels share one scale."""

_NARROWEST = 170
_GAP, _LINE, _BAR = 8, 20, 8
_TEXT, _FAINT, _LETTER = (255, 255, 255), (170, 170, 170), (255, 220, 90)


class Column(NamedTuple):
    """One column: two lines of header, how to color a slice, and the window and table of its heat bar if it has one.

    `paint` takes what `slices_of` gives and makes RGB (h, w, 3) in [0, 1].
    """

    header: tuple[str, str]
    paint: Callable[[Any], np.ndarray]
    bar: tuple[Window, str] | None = None


def composed(
    columns: Sequence[Column],
    slices_of: Callable[[Plane], Any],
    grid: Grid,
    planes: Sequence[Plane],
    center: tuple[int, int, int],
    *,
    title: str = "",
    placed: bool = True,
) -> Image.Image:
    """A picture of these columns, a row for each plane.

    Args:
        columns: from left to right.
        slices_of: what the columns paint of a plane.
        grid: of what is shown.
        planes: from top to bottom.
        center: (k, j, i) that they go through.
        title: a line above.
        placed: whether it is known what is right, left, up and down in the patient.
    """
    sizes = _sizes(grid, planes)
    width = max(_NARROWEST, *(across for across, _ in sizes))
    strips = [_title(title, len(columns), width)] if title else []
    strips.append(_headers(columns, width))
    for plane, size in zip(planes, sizes, strict=True):
        slices = slices_of(plane)
        panels = [column.paint(slices) for column in columns]
        strips.append(_row(panels, plane, size, width, position(grid, plane, center) if placed else ""))
    if any(column.bar for column in columns):
        strips.append(_heat_bars(columns, width))
    return stacked(strips)


def stacked(strips: Sequence[Image.Image]) -> Image.Image:
    """Pictures one below the other."""
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


def _headers(columns: Sequence[Column], width: int) -> Image.Image:
    strip = _strip(len(columns), width, _GAP + 2 * _LINE)
    for number, column in enumerate(columns):
        _write(strip, (_left(number, width), _GAP), column.header[0], width, size=14)
        _write(strip, (_left(number, width), _GAP + _LINE - 2), column.header[1], width, size=12, color=_FAINT)
    return strip


def _row(panels: Sequence[np.ndarray], plane: Plane, size: tuple[int, int], width: int, place: str) -> Image.Image:
    strip = _strip(len(panels), width, size[1] + _GAP)
    for number, rgb in enumerate(panels):
        corner = (_left(number, width) + (width - size[0]) // 2, 0)
        strip.paste(_picture(rgb, size), corner)
        if place:
            _letters(strip, plane, corner, size)
    _write(strip, (_GAP, 0), place, width, size=12, color=_LETTER)
    return strip


def _heat_bars(columns: Sequence[Column], width: int) -> Image.Image:
    from MedFusionLib.harmonize.color import colorize

    strip = _strip(len(columns), width, _BAR + _LINE)
    for number, column in enumerate(columns):
        if column.bar:
            window, table = column.bar
            left = _left(number, width)
            ramp = colorize(np.linspace(0, 1, width, dtype=np.float32)[None], table)
            strip.paste(_picture(ramp, (width, _BAR)), (left, 0))
            _write(strip, (left, _BAR + 2), number_text(window.low), width, size=12, color=_FAINT)
            high = f"{number_text(window.high)} {window.unit}"
            _write(strip, (left + width, _BAR + 2), high, width, size=12, color=_FAINT, anchor="ra")
    return strip


def _sizes(grid: Grid, planes: Sequence[Plane]) -> list[tuple[int, int]]:
    """(width, height) in pixels of each view, true to the voxels' spacing, on one scale."""
    extent = [grid.shape[grid.axis_along(d)] * grid.spacing[2 - grid.axis_along(d)] for d in range(3)]
    tallest, widest = max(extent[plane.down] for plane in planes), max(extent[plane.right] for plane in planes)
    scale = PANEL_PX * min(1 / tallest, 2 / widest)
    return [(max(1, round(extent[p.right] * scale)), max(1, round(extent[p.down] * scale))) for p in planes]


def gray(values: np.ndarray) -> np.ndarray:
    """(h, w) as gray RGB (h, w, 3)."""
    return np.repeat(values[..., None], 3, axis=-1)


def number_text(value: float) -> str:
    """Three digits of a small number, none behind the point of a large one."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


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
