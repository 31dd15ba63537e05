"""Banks of filters without decimation, applied by FFT: what the shearlets and the contourlets have in common.

Every response is real, so each filter is symmetric about its middle and shifts nothing. The image is extended by
mirroring, taken apart, joined and rebuilt on the extended grid, then cropped: bands are larger than the image, and
their mirrored parts are not the mirror of the rest (a direction turns into another one), so all of it must be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from MedFusionLib.transforms.progress import Told
from MedFusionLib.transforms.window import symmetric_pad

MARGIN = 32
"""Voxels of mirrored image on either side: the filters of the coarsest scale have 99.99 % of their energy within."""

Rule = Callable[[Tensor], Tensor]
"""Joins the sources of a band: (N, K, *E) -> (N, 1, *E), E the extended size."""


@dataclass(frozen=True)
class Scale:
    """Responses (real, on the grid of `rfftn`) of one scale's bands.

    Args:
        ring: analysis, of all directions together: (*F).
        ring_back: synthesis likewise.
        parts: analysis, how the directions divide the ring: (directions, *F).
        parts_back: synthesis likewise; the same tensor if the division is a tight frame.
    """

    ring: Tensor
    ring_back: Tensor
    parts: Tensor
    parts_back: Tensor


@dataclass(frozen=True)
class Bank:
    """Responses of a whole transform for images of one extended size; sum of analysis times synthesis is 1.

    Args:
        size: extended image.
        scales: fine to coarse.
        low: analysis of the low-pass band.
        low_back: its synthesis.
    """

    size: tuple[int, ...]
    scales: tuple[Scale, ...]
    low: Tensor
    low_back: Tensor

    def to(self, dtype: torch.dtype, device: torch.device) -> Bank:
        """The same bank in another type and place."""
        scales = []
        for scale in self.scales:
            ring, ring_back, parts = (x.to(device, dtype) for x in (scale.ring, scale.ring_back, scale.parts))
            tight = scale.parts is scale.parts_back
            scales.append(Scale(ring, ring_back, parts, parts if tight else scale.parts_back.to(device, dtype)))
        return Bank(self.size, tuple(scales), self.low.to(device, dtype), self.low_back.to(device, dtype))


def extended_size(shape: Sequence[int], margin: int = MARGIN) -> tuple[int, ...]:
    """The image with its margins, rounded up to sizes that are fast to transform."""
    return tuple(fast(count + 2 * margin) for count in shape)


def analyze(x: Tensor, bank: Bank, margin: int = MARGIN) -> tuple[list[Tensor], Tensor]:
    """Take (B, C, *S) apart into each scale's (B, C, directions, *E), fine to coarse, and the low-pass (B, C, *E)."""
    spectrum = _spectrum(_extended(x, bank.size, margin), bank)
    details = []
    for scale in bank.scales:
        ring = _times(spectrum, scale.ring).unsqueeze(2)
        details.append(_image(_times(ring, scale.parts), bank))
    return details, _image(_times(spectrum, bank.low), bank)


def synthesize(
    details: Sequence[Tensor], low: Tensor, bank: Bank, shape: Sequence[int], margin: int = MARGIN
) -> Tensor:
    """Rebuild the image (B, C, *shape) that `analyze` took apart."""
    total = _times(_spectrum(low, bank), bank.low_back)
    for bands, scale in zip(details, bank.scales, strict=True):
        ring = _times(_spectrum(bands, bank), scale.parts_back).sum(2)
        total = total + _times(ring, scale.ring_back)
    return _cropped(_image(total, bank), shape, margin)


def fuse(
    sources: Tensor,
    bank: Bank,
    high: Rule,
    low: Rule,
    *,
    margin: int = MARGIN,
    together: int = 1,
    progress: Told | None = None,
) -> Tensor:
    """Take (B, K, *S) apart, join each band, rebuild (B, 1, *S).

    Args:
        sources: harmonized images.
        bank: responses for their extended size.
        high: joins the bands of all directions; it sees `together` of them stacked along the batch.
        low: joins the low-pass band.
        margin: as in `extended_size`.
        together: directions joined at once; 1 is fastest on a CPU, where a band fits the cache.
        progress: told the share of the directions that are joined.
    """
    fused = fuse_extended(_extended(sources, bank.size, margin), bank, high, low, together, progress)
    return _cropped(fused, sources.shape[2:], margin)


def fuse_extended(
    sources: Tensor,
    bank: Bank,
    high: Rule,
    low: Rule,
    together: int = 1,
    progress: Told | None = None,
) -> Tensor:
    """Join (B, K, *E) into (B, 1, *E), band by band, so that never more than a few bands exist at once."""
    spectrum = _spectrum(sources, bank)
    done, count = 0, sum(len(scale.parts) for scale in bank.scales)
    total = _times(_spectrum(low(_image(_times(spectrum, bank.low), bank)), bank), bank.low_back)
    for scale in bank.scales:
        ring = _times(spectrum, scale.ring)
        joined = torch.zeros_like(total)
        for first in range(0, len(scale.parts), together):
            parts = slice(first, first + together)
            bands = _image(_times(ring.unsqueeze(1), scale.parts[parts].unsqueeze(1)), bank)
            fused = high(bands.flatten(0, 1)).unflatten(0, bands.shape[:2])
            joined = joined + _times(_spectrum(fused, bank), scale.parts_back[parts].unsqueeze(1)).sum(1)
            done += bands.shape[1]
            if progress:
                progress(done / count)
        total = total + _times(joined, scale.ring_back)
    return _image(total, bank)


def bands(bank: Bank) -> Iterator[tuple[Tensor, Tensor]]:
    """(analysis, synthesis) responses of every band, fine to coarse, the low-pass last."""
    for scale in bank.scales:
        for part, part_back in zip(scale.parts, scale.parts_back, strict=True):
            yield scale.ring * part, scale.ring_back * part_back
    yield bank.low, bank.low_back


def fast(count: int) -> int:
    """The next even number from `count` with no prime factor above 5."""
    while True:
        rest = count
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and count % 2 == 0:
            return count
        count += 1


def _extended(x: Tensor, size: Sequence[int], margin: int) -> Tensor:
    for axis, count in enumerate(size, 2):
        x = symmetric_pad(x, axis, margin, count - x.shape[axis] - margin)
    return x


def _cropped(x: Tensor, shape: Sequence[int], margin: int) -> Tensor:
    for axis, count in enumerate(shape, 2):
        x = x.narrow(axis, margin, count)
    return x.contiguous()


def _spectrum(x: Tensor, bank: Bank) -> Tensor:
    return torch.fft.rfftn(x, dim=_last(bank))


def _image(spectrum: Tensor, bank: Bank) -> Tensor:
    return torch.fft.irfftn(spectrum, s=bank.size, dim=_last(bank))


def _last(bank: Bank) -> tuple[int, ...]:
    return tuple(range(-len(bank.size), 0))


def _times(spectrum: Tensor, response: Tensor) -> Tensor:
    """Complex times real, without making the response complex first."""
    return torch.view_as_complex(torch.view_as_real(spectrum) * response.unsqueeze(-1))
