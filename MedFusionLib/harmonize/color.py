"""Color in and out: tables applied to uptake, known tables inverted to uptake, hue kept inside the gamut.

The luma of a rainbow palette is not uptake (red is darker than yellow), so pseudo-color is turned back into the
uptake it was made of wherever its table is known. Colors here are float RGB in [0, 1]; chroma is (B - Y, R - Y).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from MedFusionLib.errors import UnknownNameError

# Position in [0, 1], then R, G, B of the corners of piecewise linear tables.
# pet-heat and pet-rainbow: 3D Slicer's "PET-Heat" and "PET-Rainbow2" (vtkMRMLPETProceduralColorNode).
# hot: black, red, yellow, white in even steps, so that uptake can still be read between a half and all of it.
# atlas-pet: the palette of the Whole Brain Atlas' FDG images (128 colors).
_TABLES = {
    "gray": ((0, 0, 0, 0), (1, 1, 1, 1)),
    "hot": ((0, 0, 0, 0), (0.375, 1, 0, 0), (0.75, 1, 1, 0), (1, 1, 1, 1)),
    "pet-heat": (
        (0, 0, 0, 0),
        (35 / 255, 0.36, 0, 0),
        (38 / 255, 0.5, 0, 0),
        (50 / 255, 0.7, 0.1, 0),
        (70 / 255, 0.7, 0.5, 0),
        (87 / 255, 1, 1, 0),
        (1, 1, 1, 1),
    ),
    "pet-rainbow": (
        (0, 0, 0, 0),
        (35 / 255, 0, 0, 0.3),
        (38 / 255, 0.2, 0, 0.3),
        (50 / 255, 0.5, 0, 0),
        (70 / 255, 0.7, 0.5, 0),
        (87 / 255, 1, 1, 0),
        (1, 1, 1, 1),
    ),
    "atlas-pet": (
        (0, 0, 0, 0),
        (15 / 127, 0, 0, 123 / 255),
        (31 / 127, 0, 85 / 255, 1),
        (63 / 127, 1, 1, 0),
        (95 / 127, 1, 0, 0),
        (1, 1, 0, 1),
    ),
}
TABLES = tuple(_TABLES)

OWN_COLORS = "own"
"""What the story calls the color of a source whose colors are carried along, for want of a known table."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 weights of R, G, B."""

_TABLE_MATCH = 6 / 255
"""Largest channel difference to a table's curve: 8-bit rounding of a 128-color palette stays within 4 levels."""

_MOST_COLORS = 1500
"""Colors, told apart at 32 levels a channel, that a palette and what interpolation mixes of it can have."""


@cache
def table(name: str) -> np.ndarray:
    """The color table as (256, 3) float32 RGB in [0, 1].

    Raises:
        UnknownNameError: if no table has this name.
    """
    if name not in _TABLES:
        raise UnknownNameError("Color table", found=repr(name), accepted=", ".join(_TABLES))
    position, *channels = np.array(_TABLES[name]).T
    levels = np.linspace(0, 1, 256)
    curve = np.stack([np.interp(levels, position, channel) for channel in channels], -1).astype(np.float32)
    curve.flags.writeable = False
    return curve


def colorize(uptake: np.ndarray, name: str) -> np.ndarray:
    """Color (…,) values in [0, 1] by a table: (…, 3) float32 RGB."""
    return table(name)[np.rint(np.clip(uptake, 0, 1) * 255).astype(np.intp)]


def luma(rgb: np.ndarray) -> np.ndarray:
    """BT.601 luma of (…, 3) RGB in [0, 1]: (…,) float32."""
    return np.asarray(rgb, np.float32) @ _LUMA


def chroma(rgb: np.ndarray) -> np.ndarray:
    """Color differences (B - Y, R - Y) of (…, 3) RGB in [0, 1]: (…, 2) float32."""
    rgb = np.asarray(rgb, np.float32)
    return rgb[..., [2, 0]] - luma(rgb)[..., None]


def recolor(luminance: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """RGB in [0, 1] of this luminance (…,) and these color differences (…, 2).

    Where a channel would leave [0, 1] all differences shrink by one factor: the color moves toward gray, hue and
    luminance stay. Clipping channels one by one would turn the hue.
    """
    y = np.clip(np.asarray(luminance, np.float32), 0, 1)
    blue, red = differences[..., 0], differences[..., 1]
    green = -(_LUMA[0] * red + _LUMA[2] * blue) / _LUMA[1]
    offsets = np.stack([red, green, blue], -1)
    room = np.where(offsets > 0, 1 - y[..., None], y[..., None])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.abs(offsets) > room, room / np.abs(offsets), 1).min(-1, keepdims=True)
    return np.clip(y[..., None] + share * offsets, 0, 1)


def blended(differences: list[np.ndarray]) -> np.ndarray:
    """One chroma of several colored sources: the mean weighted by how colorful each is (FusionDN's rule)."""
    if len(differences) == 1:
        return differences[0]
    stacked = np.stack(differences)
    weights = np.abs(stacked)
    total = weights.sum(0)
    return np.divide((weights * stacked).sum(0), total, out=np.zeros_like(total), where=total > 0)


def uptake_of(rgb: np.ndarray) -> tuple[np.ndarray, str] | None:
    """The uptake in [0, 1] that (…, 3) uint8 pseudo-color was made of, and its table; None if no table fits.

    A table fits if 99 % of the voxels above black lie on its curve, and at least 8 of its levels are in color. Gray
    beside color (anatomy, text, a scale) fits no table: it must not become uptake.
    """
    from scipy.spatial import cKDTree

    packed = rgb.reshape(-1, 3).astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    codes, where, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.float32) / 255
    shown = counts * (colors.max(1) > _TABLE_MATCH)
    in_color = np.ptp(colors, axis=1) > 0
    for name in TABLES[1:]:
        distance, level = cKDTree(table(name)).query(colors, p=np.inf)
        fits = distance <= _TABLE_MATCH
        if shown[fits].sum() >= 0.99 * shown.sum() and len(np.unique(level[fits & in_color])) >= 8:
            return (level[where.ravel()] / np.float32(255)).astype(np.float32).reshape(rgb.shape[:-1]), name
    return None


def along_palette(rgb: np.ndarray) -> np.ndarray | None:
    """How far along its palette, from black, each color of (…, 3) uint8 pseudo-color lies: (…,) in [0, 1].

    For palettes that no table is known of, and for known ones whose colors were interpolated or brightened: colors of a
    palette lie along a curve, and the way along it grows with uptake, which luma does not. It is the way over the
    colors there are whose steps have the least sum of squares, so that it keeps to the curve (geodesic distance as in
    Tenenbaum et al. 2000, doi 10.1126/science.290.5500.2319). None if there are too many colors for a curve.
    """
    from scipy.sparse.csgraph import dijkstra
    from scipy.spatial.distance import cdist

    packed = (rgb >> 3).astype(np.intp) @ np.array([1024, 32, 1])
    present = np.flatnonzero(np.bincount(packed.ravel(), minlength=32768))
    if len(present) > _MOST_COLORS:
        return None
    colors = np.stack([present >> 10, present >> 5 & 31, present & 31], -1).astype(np.float64)
    steps = cdist(colors, colors)
    cost, before = dijkstra(steps**2, indices=colors.sum(1).argmin(), return_predecessors=True)
    lengths = np.zeros(len(colors), np.float32)
    for color in np.argsort(cost)[1:]:
        lengths[color] = lengths[before[color]] + steps[before[color], color]
    way = np.zeros(32768, np.float32)
    way[present] = lengths / max(1.0, float(lengths.max()))
    return way[packed]
