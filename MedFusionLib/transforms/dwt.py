"""Discrete wavelet transform, separable, decimated, along any axes, any size, symmetric border.

Coefficients have the layout of PyWavelets' `symmetric` mode: floor((n + taps - 1) / 2) per level, which rebuilds any
size exactly (Daubechies 1992, doi 10.1137/1.9781611970104; Cohen, Daubechies, Feauveau 1992,
doi 10.1002/cpa.3160450502).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from MedFusionLib.transforms.window import every_second, symmetric_pad

_R3 = 3**0.5
_SCALE = 4 * 2**0.5

# Low-pass taps: analysis, and synthesis where it is not the analysis reversed.
_LOW: dict[str, tuple[tuple[float, ...], tuple[float, ...] | None]] = {
    "haar": ((0.5**0.5, 0.5**0.5), None),
    "db2": (((1 - _R3) / _SCALE, (3 - _R3) / _SCALE, (3 + _R3) / _SCALE, (1 + _R3) / _SCALE), None),
    "db4": (
        (
            -0.010597401784997278,
            0.032883011666982945,
            0.030841381835986965,
            -0.18703481171888114,
            -0.02798376941698385,
            0.6308807679295904,
            0.7148465705525415,
            0.23037781330885523,
        ),
        None,
    ),
    "bior4.4": (
        (
            0.0,
            0.03782845550699535,
            -0.02384946501937986,
            -0.11062440441842342,
            0.37740285561265380,
            0.85269867900940344,
            0.37740285561265380,
            -0.11062440441842342,
            -0.02384946501937986,
            0.03782845550699535,
        ),
        (
            0.0,
            -0.06453888262893856,
            -0.04068941760955867,
            0.41809227322221221,
            0.78848561640566439,
            0.41809227322221221,
            -0.04068941760955867,
            -0.06453888262893856,
            0.0,
            0.0,
        ),
    ),
}
WAVELETS = tuple(_LOW)


def taps(wavelet: str) -> int:
    """Length of the wavelet's filters."""
    return len(_LOW[wavelet][0])


def analyze(x: Tensor, wavelet: str, levels: int, axes: Sequence[int]) -> tuple[list[list[Tensor]], Tensor]:
    """Decompose into `levels` lists of 2^d - 1 detail bands, fine to coarse, and the low-pass band."""
    analysis, _ = _filters(wavelet)
    details = []
    for _ in range(levels):
        bands = [x]
        for axis in axes:
            bands = [part for band in bands for part in _split(band, analysis, axis)]
        details.append(bands[1:])
        x = bands[0]
    return details, x


def synthesize(
    details: Sequence[Sequence[Tensor]], low: Tensor, wavelet: str, shape: Sequence[int], axes: Sequence[int]
) -> Tensor:
    """Rebuild the image of `shape` (the sizes of `axes`) that `analyze` took apart."""
    _, synthesis = _filters(wavelet)
    for level in range(len(details) - 1, -1, -1):
        sizes = [details[level - 1][0].shape[axis] for axis in axes] if level else list(shape)
        bands = [low, *details[level]]
        for axis, size in reversed(list(zip(axes, sizes, strict=True))):
            bands = [_join(a, b, synthesis, axis, size) for a, b in zip(bands[::2], bands[1::2], strict=True)]
        low = bands[0]
    return low


_Filters = tuple[tuple[float, ...], tuple[float, ...]]


def _filters(wavelet: str) -> tuple[_Filters, _Filters]:
    """(low, high) of analysis and of synthesis; the high-pass ones are the mirror of the other side's low-pass."""
    low, low_back = _LOW[wavelet]
    low_back = low[::-1] if low_back is None else low_back
    high = tuple(-tap if n % 2 == 0 else tap for n, tap in enumerate(low_back))
    high_back = tuple(tap if n % 2 == 0 else -tap for n, tap in enumerate(low))
    return (low, high), (low_back, high_back)


def _split(x: Tensor, filters: _Filters, axis: int) -> list[Tensor]:
    """Low and high band: out[i] = sum_k filter[k] * x[2 i + 1 - k]."""
    length = len(filters[0])
    count = (x.shape[axis] + length - 1) // 2
    padded = symmetric_pad(x, axis, length - 2, length)
    halves = [every_second(padded, axis, first) for first in (0, 1)]
    shifted = [halves[(length - 1 - k) % 2].narrow(axis, (length - 1 - k) // 2, count) for k in range(length)]
    return [_weighted(shifted, weights) for weights in filters]


def _join(low: Tensor, high: Tensor, filters: _Filters, axis: int, size: int) -> Tensor:
    """The signal whose bands these are: even and odd samples use the even and odd taps."""
    half = len(filters[0]) // 2
    count = low.shape[axis] - half + 1
    phases = []
    for phase in (0, 1):
        parts = [band.narrow(axis, half - 1 - k, count) for band in (low, high) for k in range(half)]
        weights = [taps_[2 * k + phase] for taps_ in filters for k in range(half)]
        phases.append(_weighted(parts, weights))
    return torch.stack(phases, axis + 1).flatten(axis, axis + 1).narrow(axis, 0, size)


def _weighted(parts: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = torch.zeros_like(parts[0])
    for part, weight in zip(parts, weights, strict=True):
        if weight:
            total.add_(part, alpha=weight)
    return total
