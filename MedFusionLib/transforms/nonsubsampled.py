"""Maximally flat pyramid without decimation (da Cunha, Zhou, Do 2006), as responses on a grid of frequencies.

Its two-channel prototypes in one variable z satisfy h0 g0 + h1 g1 = 1 for every real z, with h1(z) = g0(-z) and
g1(z) = h0(-z). Any map from frequencies to z then gives a bank that rebuilds any image of any size, with no table of
taps: the pyramid's map is the "maxflat" one, the directional banks of the contourlets have their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_ROOT = 2**0.5


def h0(z: Tensor) -> Tensor:
    """Analysis low-pass, 1 at z = 1 and 0 at z = -1; the analysis high-pass is g0(-z)."""
    return (1 + z) * (_ROOT + (1 - _ROOT) * z) / 2


def g0(z: Tensor) -> Tensor:
    """Synthesis low-pass; the synthesis high-pass is h0(-z)."""
    return (1 + z) * (_ROOT + (4 - 3 * _ROOT) * z + (2 * _ROOT - 3) * z**2) / 2


def frequencies(size: Sequence[int]) -> list[Tensor]:
    """Angular frequencies of `torch.fft.rfftn` along each axis, float64, shaped to broadcast against each other."""
    found = []
    for axis, count in enumerate(size):
        one = torch.fft.rfftfreq if axis == len(size) - 1 else torch.fft.fftfreq
        values = 2 * math.pi * one(count, dtype=torch.float64)
        found.append(values.reshape([-1 if axis == n else 1 for n in range(len(size))]))
    return found


def pyramid_map(omega: Sequence[Tensor], scale: int) -> Tensor:
    """Value of z at the pyramid's step `scale` (0: the finest): 1 at low frequencies, -1 where any is high."""
    product = torch.ones((), dtype=torch.float64)
    for w in omega:
        c = torch.cos(2**scale * w)
        product = product * (1 + (3 * c - c**3) / 2)
    return product / 2 ** (len(omega) - 1) - 1


def pyramid(omega: Sequence[Tensor], levels: int) -> tuple[list[tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]:
    """(analysis, synthesis) responses of each scale's detail, fine to coarse, and of the low-pass band below them."""
    down = up = torch.ones((), dtype=torch.float64)
    details = []
    for scale in range(levels):
        z = pyramid_map(omega, scale)
        details.append((down * g0(-z), up * h0(-z)))
        down, up = down * h0(z), up * g0(z)
    return details, (down, up)
