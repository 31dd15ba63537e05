"""Non-subsampled shearlets in 2-D (Easley, Labate, Lim 2008, doi 10.1016/j.acha.2007.09.003).

Each scale of the maximally flat pyramid is divided among Meyer windows in the slope of the frequency. The windows form
a tight frame, so the same ones take apart and rebuild. Every band has the size of the (extended) image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from MedFusionLib.transforms import filterbank
from MedFusionLib.transforms.filterbank import MARGIN, Bank, Rule, Scale
from MedFusionLib.transforms.nonsubsampled import frequencies, pyramid
from MedFusionLib.transforms.progress import Told

DIRECTIONS = (16, 16, 8, 8)
"""Of each scale, fine to coarse: what the fusion literature uses."""

WINDOWS = ("literature", "sharp", "global")
"""Filters as wide as there are directions (short, but hardly directional at coarse scales); 32 voxels wide; not limited
(the sharpest, with the longest ripples)."""

_SHARP = 32


def directions_of(levels: int, finest: int) -> tuple[int, ...]:
    """Directions of each scale, fine to coarse: `finest` at the two finest scales, half as many below them."""
    return (finest, finest, *[max(1, finest // 2)] * levels)[:levels]


def bank(
    shape: Sequence[int],
    directions: Sequence[int] = DIRECTIONS,
    window: str = "literature",
    *,
    margin: int = MARGIN,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Bank:
    """The filters for images of this shape (H, W); the last few are kept.

    Args:
        shape: of the image, without margins.
        directions: of each scale, fine to coarse; their number is the number of scales.
        window: of `WINDOWS`.
        margin: voxels of mirrored image on either side.
        dtype: of the images.
        device: of the images.
    """
    size = filterbank.extended_size(shape, margin)
    return _bank(size, tuple(directions), window, dtype, torch.device(device))


def analyze(
    x: Tensor, directions: Sequence[int] = DIRECTIONS, window: str = "literature", *, margin: int = MARGIN
) -> tuple[list[Tensor], Tensor]:
    """Take (B, C, H, W) apart into each scale's (B, C, directions, *E), fine to coarse, and the low-pass (B, C, *E).

    E is the image with its margins. Directions go by slope: see `slope`.
    """
    filters = bank(x.shape[2:], directions, window, margin=margin, dtype=x.dtype, device=x.device)
    return filterbank.analyze(x, filters, margin)


def synthesize(
    details: Sequence[Tensor], low: Tensor, shape: Sequence[int], window: str = "literature", *, margin: int = MARGIN
) -> Tensor:
    """Rebuild the image (B, C, *shape) that `analyze` took apart with the same window and margin."""
    directions = [bands.shape[2] for bands in details]
    filters = bank(shape, directions, window, margin=margin, dtype=low.dtype, device=low.device)
    return filterbank.synthesize(details, low, filters, shape, margin)


def fuse(
    sources: Tensor,
    high: Rule,
    low: Rule,
    directions: Sequence[int] = DIRECTIONS,
    window: str = "literature",
    *,
    margin: int = MARGIN,
    together: int = 1,
    progress: Told | None = None,
) -> Tensor:
    """Take (B, K, H, W) apart, join each band by `high` or `low`, rebuild (B, 1, H, W); see `filterbank.fuse`."""
    filters = bank(sources.shape[2:], directions, window, margin=margin, dtype=sources.dtype, device=sources.device)
    return filterbank.fuse(sources, filters, high, low, margin=margin, together=together, progress=progress)


def slope(rows: Tensor, columns: Tensor) -> Tensor:
    """Direction of a frequency in [0, 1), once around half the plane; window k of K is centered at (k + 1/2) / K.

    1/4 is a frequency along the columns' axis (vertical edges), 3/4 one along the rows' axis (horizontal edges).
    """
    rows, columns = torch.broadcast_tensors(rows, columns)
    wide = columns.abs() >= rows.abs()
    ratio = torch.where(wide, rows, columns) / torch.where(wide, columns, rows)
    theta = torch.where(wide, (ratio + 1) / 4, 0.5 + (1 - ratio) / 4)
    return torch.nan_to_num(theta, 0.0) % 1


@lru_cache(maxsize=4)
def _bank(
    size: tuple[int, ...], directions: tuple[int, ...], window: str, dtype: torch.dtype, device: torch.device
) -> Bank:
    # A bank made in inference mode could not be used in training later.
    with torch.inference_mode(False), torch.no_grad():
        omega = frequencies(size)
        details, (low, low_back) = pyramid(omega, len(directions))
        parts: dict[int, Tensor] = {}
        scales = []
        for (ring, ring_back), count in zip(details, directions, strict=True):
            if count not in parts:
                parts[count] = _windows(size, count, window).to(device, dtype)
            scales.append(Scale(ring, ring_back, parts[count], parts[count]))
        return Bank(size, tuple(scales), low, low_back).to(dtype, device)


def _windows(size: Sequence[int], count: int, window: str) -> Tensor:
    """(count, *F) responses that divide all frequencies by direction; their squares sum to 1."""
    if window == "global":
        parts = _everywhere(size, count)
    else:
        width = max(4, count + count % 2)
        parts = _short(size, count, width if window == "literature" else max(width, _SHARP))
    return parts / parts.square().sum(0).sqrt()


def meyer(theta: Tensor, count: int) -> Tensor:
    """(count, *theta.shape) windows around the slopes (k + 1/2) / count, which sum to 1."""
    middle = torch.arange(count, dtype=theta.dtype).reshape(-1, *[1] * theta.ndim) + 0.5
    return bell((count * theta - middle + count / 2) % count - count / 2)


def bell(distance: Tensor) -> Tensor:
    """Meyer window: 1 up to a distance of 1/3, 0 from 2/3, smooth between; its copies at whole steps sum to 1."""
    t = (3 * distance.abs() - 1).clamp(0, 1)
    return torch.cos(math.pi / 2 * t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3)) ** 2


def _everywhere(size: Sequence[int], count: int) -> Tensor:
    """The windows sampled at every frequency of the image."""
    rows, columns = (torch.fft.fftfreq(n, dtype=torch.float64) for n in size)
    parts = meyer(slope(rows[:, None], columns[None]), count)
    parts[:, 0, 0] = 1 / count
    # At the highest frequency of an even size w and -w are one sample with two slopes: it takes the mean of both.
    mirrored = parts.flip((1, 2)).roll((1, 1), (1, 2))
    return ((parts + mirrored) / 2)[..., : size[1] // 2 + 1]


def _short(size: Sequence[int], count: int, width: int) -> Tensor:
    """The windows as filters of (width + 1) x (width + 1) voxels."""
    axis = torch.arange(width, dtype=torch.float64) - width // 2
    parts = meyer(slope(axis[:, None], axis[None]), count)
    parts[:, width // 2, width // 2] = 1 / count
    taps = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(parts, (1, 2))).real, (1, 2))
    taps = torch.nn.functional.pad(taps, (0, 1, 0, 1))
    taps = (taps + taps.flip((1, 2))) / 2
    offset = torch.arange(width + 1, dtype=torch.float64) - width // 2
    rows, columns = (torch.exp(-1j * w.reshape(-1, 1) * offset) for w in frequencies(size))
    return (rows @ taps.to(rows.dtype) @ columns.T).real
