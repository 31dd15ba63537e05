"""Non-subsampled shearlets in 3-D: the pyramid's scales divided by direction, tile by tile.

After Easley, Labate, Lim 2008 (doi 10.1016/j.acha.2007.09.003), with our extension to volumes: three pyramids of
frequencies (one for each dominant axis), each divided by Meyer windows in its two slopes.

A volume is cut into tiles on a fixed lattice, and each tile sees a halo of its neighbors. So a slab that starts on the
lattice meets the same tiles as the whole volume, and gives the same bits; memory depends on the tile alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from MedFusionLib.transforms import filterbank
from MedFusionLib.transforms.filterbank import Bank, Rule, Scale
from MedFusionLib.transforms.nonsubsampled import frequencies, pyramid
from MedFusionLib.transforms.nsst import bell
from MedFusionLib.transforms.progress import Told, shares

CORE, HALO = 64, 16
"""Voxels of a tile's own, and of its neighbors on either side, which hold all but 2e-4 of the filters' amplitude."""

_WIDTH = 8
"""The directional filters' taps along each axis, less one: longer ones are sharper but reach beyond the halo."""


def fuse(
    sources: Tensor,
    high: Rule,
    low: Rule,
    levels: int = 2,
    slopes: int = 2,
    progress: Told | None = None,
) -> Tensor:
    """Join (B, K, D, H, W) into (B, 1, D, H, W), tile by tile and band by band.

    Args:
        sources: harmonized volumes; their first axis may be a slab that starts at a multiple of `CORE`.
        high: joins the sources of a directional band, (B, K, *E) -> (B, 1, *E).
        low: joins the low-pass band likewise.
        levels: number of scales.
        slopes: windows along each slope; 3 * slopes^2 directions.
        progress: told the share of the directions of all tiles that are joined.
    """
    fused = torch.zeros_like(sources[:, :1])
    cuts = [_cuts(count, fixed=axis == 0) for axis, count in enumerate(sources.shape[2:])]
    size = tuple(filterbank.fast(core + 2 * HALO) for core, _ in cuts)
    filters = bank(size, levels, slopes, sources.dtype, sources.device)
    tiles = list(itertools.product(*(starts for _, starts in cuts)))
    for number, starts in enumerate(tiles):
        tile = sources
        for axis, (start, count) in enumerate(zip(starts, size, strict=True), 2):
            tile = _window(tile, axis, start - HALO, count)
        joined = filterbank.fuse_extended(tile, filters, high, low, progress=shares(progress, number, len(tiles)))
        target = fused
        for axis, (start, (core, _)) in enumerate(zip(starts, cuts, strict=True), 2):
            count = min(core, sources.shape[axis] - start)
            target, joined = target.narrow(axis, start, count), joined.narrow(axis, HALO, count)
        target.copy_(joined)
    return fused


def bank(size: tuple[int, ...], levels: int, slopes: int, dtype: torch.dtype, device: torch.device) -> Bank:
    """The filters for tiles of this size, halo included; the last two are kept."""
    return _bank(size, levels, slopes, dtype, device)


@lru_cache(maxsize=2)
def _bank(size: tuple[int, ...], levels: int, slopes: int, dtype: torch.dtype, device: torch.device) -> Bank:
    # A bank made in inference mode could not be used in training later.
    with torch.inference_mode(False), torch.no_grad():
        details, (low, low_back) = pyramid(frequencies(size), levels)
        parts = _directions(size, slopes, dtype).to(device)
        scales = tuple(Scale(ring, ring_back, parts, parts) for ring, ring_back in details)
        return Bank(size, scales, low, low_back).to(dtype, device)


def _directions(size: Sequence[int], slopes: int, dtype: torch.dtype) -> Tensor:
    """(3 slopes^2, *F) responses that divide all frequencies by direction; their squares sum to 1."""
    offset = torch.arange(_WIDTH + 1, dtype=torch.float64) - _WIDTH // 2
    waves = [torch.exp(-1j * w.reshape(-1, 1) * offset) for w in frequencies(size)]
    found, total = [], torch.zeros((), dtype=torch.float64)
    for taps in _taps(slopes):
        response = torch.einsum("abc,zc->abz", taps.to(waves[0].dtype), waves[2])
        response = torch.einsum("abz,yb->ayz", response, waves[1])
        part = torch.einsum("ayz,xa->xyz", response, waves[0]).real
        total = total + part.square()
        found.append(part.to(dtype))
    norm = total.sqrt()
    return torch.stack([(part / norm).to(dtype) for part in found])


def _taps(slopes: int) -> Tensor:
    """(3 slopes^2, 9, 9, 9) filters of the directions, before normalization; they sum to a single 1 in the middle."""
    axis, last = torch.arange(_WIDTH, dtype=torch.float64) - _WIDTH // 2, (1, 2, 3)
    grid = torch.meshgrid(axis, axis, axis, indexing="ij")
    parts = directions(grid, slopes)
    taps = torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(parts, last), dim=last).real, last)
    taps = torch.nn.functional.pad(taps, (0, 1) * 3)
    return (taps + taps.flip(last)) / 2


def directions(omega: Sequence[Tensor], slopes: int) -> Tensor:
    """(3 slopes^2, *S) Meyer windows of the directions at frequencies (z, y, x), each (*S), which sum to 1.

    They go by dominant axis, then by the slopes against the two other axes.
    """
    middle = (2 * torch.arange(slopes, dtype=torch.float64) + 1) / slopes - 1
    middle = middle.reshape(-1, *[1] * omega[0].ndim)
    parts = []
    for axis, dominant in enumerate(omega):
        # Where the axis' own frequency is 0, the others' are steeper than any window.
        steep = torch.where(dominant == 0, 1e-30, dominant)
        one, two = (bell((w / steep - middle) * slopes / 2) for n, w in enumerate(omega) if n != axis)
        parts += [a * b for a in one for b in two]
    stacked = torch.stack(parts)
    total = stacked.sum(0)
    return torch.where(total > 0, stacked / total.clamp_min(1e-30), 1 / len(stacked))


def _cuts(count: int, *, fixed: bool) -> tuple[int, range]:
    """Size and starts of the tiles along an axis; the axis that slabs are cut along has a fixed lattice."""
    tiles = -(-count // CORE)
    core = CORE if fixed and tiles > 1 else -(-count // tiles)
    return core, range(0, count, core)


def _window(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    """`count` voxels from `start`, mirrored where they lie outside."""
    size = x.shape[axis]
    index = torch.arange(start, start + count, device=x.device) % (2 * size)
    return x.index_select(axis, torch.minimum(index, 2 * size - 1 - index))
