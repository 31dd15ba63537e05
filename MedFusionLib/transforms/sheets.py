"""Sheets of coupled neurons, one a voxel: what every model in `spiking` runs on.

A spike is a comparison, so one rounding can change a count. Counts are therefore those of float32 whatever the type of
the stimulus, and each step is an elementwise operation whose only rounding is its own (what is fused with an addition
is an exact product): the same bits sheet by sheet, all at once, and on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

_CACHE_VOXELS = 28_000
"""What a CPU works on at once: it fits the cache, and with some rows around it torch does not yet (from 2^15 on) divide
it among threads, which would wait for each other longer than they work."""

_DEVICE_VOXELS = 2**24
"""What an accelerator works on at once."""

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""One iteration of a part of the sheets: (weighted sum of the neighbors' spikes, which it may overwrite; the spikes
before; where to write the new ones) -> what to count."""

Start = Callable[..., Step]
"""(stimulus (*, N, voxels) of a part, parameters (N, 1) of its sheets) -> its first state, in the step it returns."""


def together(x: Tensor) -> int:
    """How many directions of a filter bank to hand to the neurons at once, given its images."""
    return min(16, max(1, _limit(x) // x.numel()))


def _limit(x: Tensor) -> int:
    return _CACHE_VOXELS if x.device.type == "cpu" else _DEVICE_VOXELS


def each(stimulus: Tensor, iterations: int, start: Start, diagonal: float, parameters: Sequence[Tensor] = ()) -> Tensor:
    """`watched` of (B, C, H, W), each channel a sheet; parameters (B * C, 1)."""
    counts = watched(stimulus.flatten(0, 1), iterations, start, diagonal, parameters)
    return counts.unflatten(0, stimulus.shape[:2])


@torch.no_grad()
def watched(
    stimulus: Tensor, iterations: int, start: Start, diagonal: float, parameters: Sequence[Tensor] = ()
) -> Tensor:
    """Counts (*, N, H, W) of sheets that share nothing along N, as many of them at once as the processor likes.

    Args:
        stimulus: (*, N, H, W).
        iterations: how long the neurons are watched.
        start: the model.
        diagonal: weight of a diagonal neighbor, that of an edge neighbor being 1.
        parameters: what the model takes besides the stimulus, (N, 1) each.
    """
    limit = _limit(stimulus)
    at_once = max(1, limit // stimulus[..., 0, :, :].numel())
    counts = []
    for first in range(0, stimulus.shape[-3], at_once):
        some = slice(first, first + at_once)
        theirs = [parameter[some] for parameter in parameters]
        counts.append(_fired(stimulus[..., some, :, :].float(), iterations, start, diagonal, theirs, limit))
    return torch.cat(counts, -3)


def _fired(
    sheets: Tensor, iterations: int, start: Start, diagonal: float, parameters: Sequence[Tensor], limit: int
) -> Tensor:
    """Counts (*, N, H, W) of one group, watched part by part in each iteration if it is larger than the limit.

    Rows are laid out one after the other in a frame of neurons without stimulus, which never fire: then the sum over
    the neighbors is one over shifted views, of the sheets as of any part of them.
    """
    row = sheets.shape[-1] + 2
    flat = pad(sheets, (1, 1, 1, 1)).flatten(-2)[..., row + 1 : -row - 1]
    frame = sheets.new_zeros(2, sheets.shape[-3], flat.shape[-1] + 2 * row + 2)
    pieces = flat.split(-(-flat.shape[-1] // -(-flat.numel() // limit)), -1)
    parts, first = [], 0
    for piece in pieces:
        parts.append(_Part(start(piece.contiguous(), *parameters), frame, first, piece.shape[-1], row, diagonal))
        first += piece.shape[-1]
    for number in range(iterations):
        for part in parts:
            part.advance(number % 2)
    counts = torch.cat([part.counts for part in parts], -1).to(torch.int16)
    return pad(counts, (row + 1, row + 1)).unflatten(-1, (-1, row))[..., 1:-1, 1:-1]


class _Part:
    """A stretch of flat sheets: its state, and its views of the spikes of the last and the next iteration."""

    def __init__(self, step: Step, frame: Tensor, first: int, size: int, row: int, diagonal: float):
        self._step = step
        # With few enough binary digits the product with a small whole number is exact.
        self._diagonal = round(diagonal * 2**16) / 2**16
        offsets = ((first, size + 2 * row), (first + 2, size + 2 * row), (first + 1, size), (first + 2 * row + 1, size))
        own = (first + row + 1, size)
        self._views = [
            (*[frame[last].narrow(-1, *offset) for offset in (*offsets, own)], frame[1 - last].narrow(-1, *own))
            for last in (0, 1)
        ]
        self._sides, self._corners = (frame.new_empty(len(frame[0]), n) for n in (size + 2 * row, size))
        self._size, self._row = size, row
        self.counts: Tensor = frame.new_zeros(())

    def advance(self, last: int) -> None:
        """One iteration; the spikes before it are in frame `last`."""
        left, right, above, below, before, spikes = self._views[last]
        sides, corners, row = self._sides, self._corners, self._row
        torch.add(left, right, out=sides)
        torch.add(sides.narrow(-1, 0, self._size), sides.narrow(-1, 2 * row, self._size), out=corners)
        near = (above + below).add_(sides.narrow(-1, row, self._size)).add_(corners, alpha=self._diagonal)
        self.counts = self.counts + self._step(near, before, spikes)
