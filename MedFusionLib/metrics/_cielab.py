"""sRGB to CIELAB, and how far two colors are from one another to the eye."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from MedFusionLib.errors import DataError

# ITU-R BT.709 primaries, D65.
_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))

_NEUTRAL = 0.01
"""Chroma below this is rounding: the eye sees differences of about 1."""


_AT_ONCE = 1 << 18
"""Voxels whose colors are compared at a time."""


def lab(rgb: Tensor) -> Tensor:
    """CIELAB (B, 3, *S), D65, of sRGB (B, 3, *S) in [0, 1]; grays have no chroma at all."""
    linear = torch.where(rgb > 0.04045, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    # Over the primaries' own white, whose sixth digit is not that of the D65 in tables.
    matrix = torch.tensor(_XYZ, dtype=rgb.dtype, device=rgb.device)
    x, y, z = _lightness(torch.einsum("rc,bc...->rb...", matrix / matrix.sum(1, keepdim=True), linear))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _lightness(t: Tensor) -> Tensor:
    edge = 6 / 29
    return torch.where(t > edge**3, t.clamp(min=edge**3) ** (1 / 3), t / (3 * edge**2) + 4 / 29)


def pairs(
    fused: Tensor, mask: Tensor | None, fused_rgb: Tensor, source_rgb: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """CIELAB colors of the fused image and of the source, and the mask, a few rows or slices at a time.

    Raises:
        DataError: on colors of another shape than the fused image (B, 1, *S), or outside [0, 1].
    """
    shape = (fused.shape[0], 3, *fused.shape[2:])
    for rgb in (fused_rgb, source_rgb):
        if rgb.shape != shape:
            raise DataError("Colors to compare", found=tuple(rgb.shape), accepted=f"{shape}, as the fused image")
        if not ((rgb >= 0) & (rgb <= 1)).all():
            raise DataError("Colors to compare", found="values outside [0, 1]", accepted="sRGB in [0, 1]")
    some = max(1, _AT_ONCE * shape[2] // fused.numel())
    for first in range(0, shape[2], some):
        part = slice(first, first + some)
        yield lab(fused_rgb[:, :, part]), lab(source_rgb[:, :, part]), None if mask is None else mask[:, :, part]


def chroma(colors: Tensor) -> Tensor:
    """(B, 1, *S) distance from gray of CIELAB colors."""
    return length(colors[:, 1:2], colors[:, 2:3])


def strength(colors: Tensor) -> Tensor:
    """Chroma, 0 where it is only rounding."""
    size = chroma(colors)
    return torch.where(size > _NEUTRAL, size, 0)


def hue_angle(first: Tensor, second: Tensor) -> Tensor:
    """(B, 1, *S) degrees from 0 to 180 between hues; 90 where one of the colors has none."""
    (a1, b1), (a2, b2) = (x[:, 1:].split(1, 1) for x in (first, second))
    hued = (strength(first) > 0) & (strength(second) > 0)
    cross, dot = (a1 * b2 - b1 * a2).abs(), a1 * a2 + b1 * b2
    return torch.atan2(torch.where(hued, cross, 1), torch.where(hued, dot, 0)) * (180 / math.pi)


def length(x: Tensor, y: Tensor) -> Tensor:
    """Length of a vector; its gradient is 0, not infinite, where the length is 0."""
    return _root(x * x + y * y)


def ciede2000(first: Tensor, second: Tensor) -> Tensor:
    """(B, 1, *S) CIEDE2000 differences of CIELAB colors (B, 3, *S)."""
    light, other = first[:, :1], second[:, :1]
    stretch = 1.5 - 0.5 * _saturation((chroma(first) + chroma(second)) / 2)
    (c1, h1), (c2, h2) = (_polar(stretch * x[:, 1:2], x[:, 2:3]) for x in (first, second))
    # A gray has no hue to turn; what the mean hue is then does not matter, for it only weighs the turn.
    turned = torch.where(c1 * c2 > 0, (h2 - h1 + 180) % 360 - 180, 0)
    hue = h1 + turned / 2
    d_light, d_chroma = other - light, c2 - c1
    d_hue = 2 * _root(c1 * c2) * _sin(turned / 2)
    lightness, mean = ((light + other) / 2 - 50) ** 2, (c1 + c2) / 2
    tone = 1 - 0.17 * _cos(hue - 30) + 0.24 * _cos(2 * hue) + 0.32 * _cos(3 * hue + 6) - 0.2 * _cos(4 * hue - 63)
    l_part = d_light / (1 + 0.015 * lightness / (20 + lightness).sqrt())
    c_part = d_chroma / (1 + 0.045 * mean)
    h_part = d_hue / (1 + 0.015 * mean * tone)
    rotation = -2 * _saturation(mean) * _sin(60 * (-((((hue % 360) - 275) / 25) ** 2)).exp())
    return _root(l_part**2 + c_part**2 + h_part**2 + rotation * c_part * h_part)


def _saturation(c: Tensor) -> Tensor:
    return c**3.5 / (c**7 + 25.0**7).sqrt()


def _polar(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma, and hue in degrees from 0 to 360; 0 where there is none."""
    size = length(a, b)
    live = size > 0
    angle = torch.atan2(torch.where(live, b, 0), torch.where(live, a, 1)) * (180 / math.pi)
    return size, angle % 360


def _root(x: Tensor) -> Tensor:
    live = x > 0
    return torch.where(live, torch.where(live, x, 1).sqrt(), 0)


def _cos(degrees: Tensor) -> Tensor:
    return torch.cos(degrees * (math.pi / 180))


def _sin(degrees: Tensor) -> Tensor:
    return torch.sin(degrees * (math.pi / 180))
