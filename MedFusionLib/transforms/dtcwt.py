"""Dual-tree complex wavelet transform of images: four wavelet trees, read together as six oriented complex bands.

Kingsbury 2001 (Applied and Computational Harmonic Analysis 10(3):234-253); Selesnick, Baraniuk, Kingsbury 2005 (IEEE
Signal Processing Magazine 22(6):123-151). Along each axis, tree b samples half-way between tree a: one voxel later at
the first level, a quarter-sample-shift filter reversed at the others. The modulus of a complex coefficient therefore
hardly depends on where the image begins, and its two diagonals are told apart.

Each tree is an orthonormal transform that rebuilds the image alone: any size, symmetric border, at each level the
ceil(n / 2) + 5 coefficients that either tree needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from MedFusionLib.transforms.window import every_second, symmetric_pad

# Nearly symmetric, for the first level of both trees; and a quarter sample off the middle, for the others of tree a.
# The published 14 and 8 digits, moved by less than their last to the nearest orthonormal filter.
_FIRST = (
    0.0,
    -0.08838834764831963,
    0.08838834764831963,
    0.6958799890340023,
    0.6958799890340023,
    0.08838834764831963,
    -0.08838834764831963,
    0.011226792152545247,
    0.011226792152545247,
    0.0,
)
_QUARTER = (
    0.03516383734444782,
    0.0,
    -0.08832942306022214,
    0.23389032031191057,
    0.7602723669023218,
    0.5875183003504205,
    0.0,
    -0.11430183947578355,
    0.0,
    0.0,
)
_TAPS = len(_FIRST)
_BEFORE = _TAPS // 2
"""Coefficients before the first voxel: those whose filter, of either tree, still reaches the image."""

_TREES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""aa, ab, ba, bb: tree a (0) or b (1) along each of the two axes."""

Complex = tuple[Tensor, Tensor]
"""Real and imaginary part."""


def analyze(x: Tensor, levels: int) -> tuple[list[list[Complex]], list[Tensor]]:
    """Decompose (B, C, H, W) into six complex bands a level, fine to coarse, and the four trees' low-pass bands.

    The bands of a level come in mirrored pairs: edges that run down the image, across it, and diagonally.
    """
    details, lows = [], [x] * len(_TREES)
    for level in range(levels):
        split = [_split_both(low, level, tree) for low, tree in zip(lows, _TREES, strict=True)]
        details.append([z for n in (1, 2, 3) for z in _to_complex([bands[n] for bands in split])])
        lows = [bands[0] for bands in split]
    return details, lows


def synthesize(details: Sequence[Sequence[Complex]], lows: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Rebuild the image of `shape` that `analyze` took apart: the mean of what the four trees say."""
    lows = list(lows)
    for level in range(len(details) - 1, -1, -1):
        sizes = details[level - 1][0][0].shape[2:] if level else shape
        trees = [_from_complex(details[level][n], details[level][n + 1]) for n in (0, 2, 4)]
        for t, tree in enumerate(_TREES):
            lows[t] = _join_both([lows[t], *(bands[t] for bands in trees)], level, tree, sizes)
    return torch.stack(lows).mean(0)


def _to_complex(trees: Sequence[Tensor]) -> tuple[Complex, Complex]:
    """The two orientations that the bands of the four trees hold; orthonormal."""
    aa, ab, ba, bb = trees
    return ((aa - bb) / 2**0.5, (ab + ba) / 2**0.5), ((aa + bb) / 2**0.5, (ba - ab) / 2**0.5)


def _from_complex(one: Complex, two: Complex) -> tuple[Tensor, ...]:
    """The inverse of `_to_complex`."""
    (real1, imag1), (real2, imag2) = one, two
    real1, imag1, real2, imag2 = (part / 2**0.5 for part in (real1, imag1, real2, imag2))
    return real1 + real2, imag1 - imag2, imag1 + imag2, real2 - real1


def _filters(level: int, tree: int) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Low-pass and high-pass taps, and the delay."""
    low = _FIRST if level == 0 else _QUARTER[::-1] if tree else _QUARTER
    high = tuple(tap if n % 2 == 0 else -tap for n, tap in enumerate(low[::-1]))
    return low, high, tree if level == 0 else 0


def _split_both(x: Tensor, level: int, tree: tuple[int, int]) -> list[Tensor]:
    """Low-low, low-high, high-low and high-high band."""
    bands = [x]
    for axis in (0, 1):
        bands = [part for band in bands for part in _split(band, level, tree[axis], axis + 2)]
    return bands


def _join_both(bands: list[Tensor], level: int, tree: tuple[int, int], sizes: Sequence[int]) -> Tensor:
    """The image whose bands these are."""
    for axis in (1, 0):
        pairs = zip(bands[::2], bands[1::2], strict=True)
        bands = [_join(low, high, level, tree[axis], axis + 2, sizes[axis]) for low, high in pairs]
    return bands[0]


def _split(x: Tensor, level: int, tree: int, axis: int) -> list[Tensor]:
    """out[i] = sum_n filter[n] * x[2 (i - before) + n + delay]."""
    low, high, delay = _filters(level, tree)
    count = _BEFORE + (x.shape[axis] + 1) // 2
    padded = symmetric_pad(x, axis, 2 * _BEFORE - delay, _TAPS + delay)
    halves = [every_second(padded, axis, first) for first in (0, 1)]
    return [_weighted([halves[n % 2].narrow(axis, n // 2, count) for n in range(_TAPS)], taps) for taps in (low, high)]


def _join(low: Tensor, high: Tensor, level: int, tree: int, axis: int, size: int) -> Tensor:
    """The transpose of `_split`: out[m] is the sum over all i and n with 2 (i - before) + n + delay = m."""
    *taps, delay = _filters(level, tree)
    count = (size + 1 + delay) // 2
    phases = []
    for phase in (0, 1):
        # Pairs of voxels from voxel -delay on: n = 2 k + phase is read at i = before - delay - k and what follows.
        parts = [band.narrow(axis, _BEFORE - delay - k, count) for band in (low, high) for k in range(_TAPS // 2)]
        phases.append(_weighted(parts, [tap for side in taps for tap in side[phase::2]]))
    return torch.stack(phases, axis + 1).flatten(axis, axis + 1).narrow(axis, delay, size)


def _weighted(parts: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = torch.zeros_like(parts[0])
    for part, weight in zip(parts, weights, strict=True):
        if weight:
            total.add_(part, alpha=weight)
    return total
