"""Undecimated wavelet transform (à trous), separable, along any axes, any size: it shifts with the image.

The filters are those of `dwt`, spread to every 2^level-th voxel where that decimates (Shensa 1992, IEEE Transactions on
Signal Processing 40(10):2464-2482), and scaled so that the low-pass band keeps the image's mean. Each level extends its
input symmetrically and keeps what synthesis reads beyond the border, so that any size is rebuilt exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from MedFusionLib.transforms.dwt import _filters
from MedFusionLib.transforms.window import symmetric_pad

Rule = Callable[[Tensor], Tensor]

_Filter = list[tuple[int, float]]
"""(offset, weight): out[n] is the sum of weight * in[n + offset * step]."""


class _Channel(NamedTuple):
    """One of the two channels of a filter bank."""

    analysis: _Filter
    synthesis: _Filter


def process(x: Tensor, detail: Rule, low: Rule, wavelet: str, levels: int, axes: Sequence[int]) -> Tensor:
    """Take an image apart, hand each band to `detail` or `low`, and rebuild the image from what these return.

    In one walk, rebuilding details as soon as they are decided: all bands at once would be 22 volumes.

    Args:
        x: (B, C, *S).
        detail: (B, C, *S') -> (B, C', *S') for the 2^d - 1 detail bands of each level; S' is S and margins.
        low: likewise for the low-pass band of the last level.
        wavelet: of `dwt.WAVELETS`.
        levels: how often the image is smoothed to twice the scale.
        axes: of S.
    """
    bank = low_pass, high_pass = _bank(wavelet)
    shares = []
    for step in (2**level for level in range(levels)):
        for n, axis in enumerate(axes):
            high = _details(_split(x, high_pass, step, axis), detail, bank, step, axes[n + 1 :])
            shares.append((_back(high, high_pass, step, axis, x.shape[axis]), step, axis))
            x = _split(x, low_pass, step, axis)
    fused = low(x)
    for share, step, axis in reversed(shares):
        fused = share + _back(fused, low_pass, step, axis, share.shape[axis])
    return fused


def reach(wavelet: str, levels: int) -> int:
    """How far away, through analysis and synthesis, a voxel changes the rebuilt image."""
    bank = _bank(wavelet)
    sides = ([channel.analysis for channel in bank], [channel.synthesis for channel in bank])
    return (2**levels - 1) * sum(max(max(_margins(one, 1)) for one in side) for side in sides)


def _details(x: Tensor, detail: Rule, bank: tuple[_Channel, _Channel], step: int, axes: Sequence[int]) -> Tensor:
    """Split a high-pass band along the axes that are left, hand its parts to `detail`, and rebuild it."""
    if not axes:
        return detail(x)
    axis, rest = axes[0], axes[1:]
    low, high = (
        _back(_details(_split(x, channel, step, axis), detail, bank, step, rest), channel, step, axis, x.shape[axis])
        for channel in bank
    )
    return low + high


def _bank(wavelet: str) -> tuple[_Channel, _Channel]:
    """Low-pass and high-pass channel, centered so that analysis and synthesis together delay by nothing."""
    analysis, synthesis = _filters(wavelet)
    length = len(analysis[0])
    before, after = length // 2, length - 1 - length // 2
    channels = [
        _Channel(
            [(before - k, tap / 2**0.5) for k, tap in enumerate(one) if tap],
            [(after - k, tap / 2**0.5) for k, tap in enumerate(back) if tap],
        )
        for one, back in zip(analysis, synthesis, strict=True)
    ]
    return channels[0], channels[1]


def _margins(one: _Filter, step: int) -> tuple[int, int]:
    """How many voxels a filter reads before and after its own."""
    offsets = [offset for offset, _ in one]
    return step * max(0, -min(offsets)), step * max(0, *offsets)


def _split(x: Tensor, channel: _Channel, step: int, axis: int) -> Tensor:
    """The band of a channel, with the margins that its synthesis reads."""
    before, after = _margins(channel.synthesis, step)
    left, right = _margins(channel.analysis, step)
    padded = symmetric_pad(x, axis, before + left, after + right)
    return _filtered(padded, channel.analysis, left, step, axis, before + x.shape[axis] + after)


def _back(band: Tensor, channel: _Channel, step: int, axis: int, size: int) -> Tensor:
    """A channel's share of the signal."""
    return _filtered(band, channel.synthesis, _margins(channel.synthesis, step)[0], step, axis, size)


def _filtered(x: Tensor, one: _Filter, first: int, step: int, axis: int, count: int) -> Tensor:
    """Filter at `count` places from `first` on."""
    offset, weight = one[0]
    total = x.narrow(axis, first + offset * step, count) * weight
    for offset, weight in one[1:]:
        total.add_(x.narrow(axis, first + offset * step, count), alpha=weight)
    return total
