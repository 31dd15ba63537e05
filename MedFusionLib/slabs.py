"""Run a method over a volume piece by piece: slices of a plane, or overlapping 3-D slabs without seams.

A slab is sized from what memory is free, halved when memory runs out, and moved to the CPU when the smallest does
not fit on the accelerator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from MedFusionLib.device import find_device, free_bytes, is_out_of_memory
from MedFusionLib.errors import OutOfMemoryError
from MedFusionLib.registry import Method

if TYPE_CHECKING:
    import torch

Progress = Callable[[float, str], None]

_SHARE = 0.5
"""Of the free memory, what slabs may take: the rest is for the result, the viewer and the allocator's waste."""

_CACHE_VOXELS = 2**20
"""Where overlap costs nothing, slabs of about this size stay in the processor's cache."""


@dataclass(frozen=True)
class Sources:
    """What a run reads: K arrays with axis 0 the one that is cut, all (N, *rest).

    Args:
        arrays: K of (N, H, W) float32 in [0, 1].
        fields: K of (N, H, W) bool, where each has data; None if everywhere.
        mask: (N, H, W) bool, the foreground.
        reference: which array is kept outside the mask.
    """

    arrays: tuple[np.ndarray, ...]
    fields: tuple[np.ndarray, ...] | None
    mask: np.ndarray
    reference: int

    @property
    def length(self) -> int:
        """Number of slices along the axis that is cut."""
        return self.mask.shape[0]

    def slab(self, start: int, stop: int) -> np.ndarray:
        """(K, n, H, W) values; where a source has no data it takes those of the first that has.

        So the edge of a small field of view leaves no step: beyond it the others speak alone.
        """
        values = np.stack([array[start:stop] for array in self.arrays])
        if self.fields is None:
            return values
        has = np.stack([field[start:stop] for field in self.fields])
        order = [self.reference, *(k for k in range(len(values)) if k != self.reference)]
        for k, value in enumerate(values):
            open_ = ~has[k]
            for other in order:
                if other == k or not open_.any():
                    continue
                take = open_ & has[other]
                value[take] = values[other][take]
                open_ &= ~take
        return values

    def alone(self, start: int, stop: int) -> np.ndarray | None:
        """(n, H, W) bool: where one source only has data; None if all have everywhere."""
        if self.fields is None:
            return None
        return np.sum([field[start:stop] for field in self.fields], 0) == 1


@dataclass
class Run:
    """One pass of a method over the sources.

    Args:
        method: what to run.
        parameters: all of its parameters, checked.
        handed: keywords the pipeline hands over.
        volumetric: 3-D slabs if true, independent slices if not.
        device: where to start.
        notes: what happened on the way is appended here.
    """

    method: Method
    parameters: dict[str, Any]
    handed: dict[str, Any]
    volumetric: bool
    device: torch.device
    notes: list[str]
    clipped: int = 0

    def __call__(self, sources: Sources, result: np.ndarray, progress: Progress | None = None) -> None:
        """Fuse into `result` (N, H, W), inside the mask; progress runs from 0 to 1."""
        core, start = self._first_core(sources), 0
        while start < sources.length:
            stop = min(sources.length, start + core)
            tell = self._teller(progress, start / sources.length, stop / sources.length)
            tell(0.0)
            try:
                self._piece(sources, start, stop, result, tell)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                core = self._retreat(core, error)
                continue
            start = stop
        if progress:
            progress(1.0, f"{self.method.title} done")

    def _teller(self, progress: Progress | None, begin: float, end: float) -> Callable[[float], None]:
        """What a slow method calls with its share of a slab; cancelling raises out of it."""
        message = f"{self.method.title} on {self.device}"

        def tell(share: float) -> None:
            if progress:
                progress(begin + share * (end - begin), message)

        return tell

    @property
    def _stride(self) -> int:
        return self.method.stride_of(self.parameters) if self.volumetric else 1

    @property
    def _reach(self) -> int:
        return self.method.reach_of(self.parameters) if self.volumetric else 0

    def _first_core(self, sources: Sources) -> int:
        """Slices a slab: what fits the memory, and the cache where slabs do not overlap."""
        slice_voxels = sources.mask[0].size
        slice_bytes = 4 * slice_voxels * len(sources.arrays) * (1 + self.method.workspace)
        core = int(_SHARE * free_bytes(self.device) / slice_bytes) - 2 * self._reach
        if self._reach == 0 and self.device.type == "cpu":
            core = min(core, _CACHE_VOXELS // (slice_voxels * len(sources.arrays)))
        if core >= sources.length:
            return sources.length
        return max(self._stride, core // self._stride * self._stride)

    def _retreat(self, core: int, error: BaseException) -> int:
        """A smaller slab, or the CPU; says so in the notes."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if core > self._stride:
            core = max(self._stride, core // 2 // self._stride * self._stride)
            self.notes.append(f"Memory ran out on {self.device}: went on with slabs of {core} slices")
        elif self.device.type != "cpu":
            self.notes.append(f"Memory ran out on {self.device}: went on on the CPU")
            self.device = find_device("cpu")
        else:
            raise OutOfMemoryError(
                f"{self.method.title} on the smallest slab",
                found=f"{core} slice(s) with {free_bytes(self.device) / 2**30:.1f} GiB free",
                accepted="a smaller image",
                fix="Choose a coarser spacing, or fuse slice by slice (--plane axial)",
            ) from error
        return core

    def _piece(
        self, sources: Sources, start: int, stop: int, result: np.ndarray, tell: Callable[[float], None]
    ) -> None:
        """Fuse slices start..stop, seeing `reach` slices more on either side."""
        first = max(0, (start - self._reach) // self._stride * self._stride)
        last = min(sources.length, stop + self._reach)
        mask = sources.mask[start:stop]
        if not mask.any():
            return
        values = sources.slab(first, last)
        fused = self._fused(values, sources.mask[first:last], tell)[start - first : stop - first]
        alone = sources.alone(start, stop)
        if alone is not None:
            # There the sources are all filled with that one's values; a neighborhood must not mix others in.
            np.copyto(fused, values[0, start - first : stop - first], where=alone)
        if fused.min() < 0 or fused.max() > 1:
            self.clipped += int((((fused < 0) | (fused > 1)) & mask).sum())
            np.clip(fused, 0, 1, out=fused)
        np.copyto(result[start:stop], fused, where=mask)

    def _fused(self, values: np.ndarray, mask: np.ndarray, tell: Callable[[float], None]) -> np.ndarray:
        """(K, n, H, W) -> (n, H, W): a single 3-D image, or a batch of n slices."""
        import torch

        tensor = torch.from_numpy(values).to(self.device)
        handed = dict(self.handed)
        if "mask" in self.method.needs:
            inside = torch.from_numpy(mask.copy()).to(self.device)
            handed["mask"] = inside[None, None] if self.volumetric else inside[:, None]
        if "progress" in self.method.needs:
            handed["progress"] = tell
        batch = tensor[None] if self.volumetric else tensor.transpose(0, 1)
        with torch.inference_mode(), self._precision():
            fused = self._folded(batch, {**self.parameters, **handed})
        return fused.squeeze(0 if self.volumetric else 1).reshape(mask.shape).float().cpu().numpy()

    def _folded(self, batch: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        """What the method makes of the sources; one that takes fewer gets its result and the next source again."""
        import torch

        most = self.method.sources[1] or batch.shape[1]
        fused = self.method.function(batch[:, :most], **options)
        for number in range(most, batch.shape[1]):
            pair = torch.cat([fused.clamp(0, 1), batch[:, number : number + 1]], 1)
            fused = self.method.function(pair, **options)
        return fused

    def _precision(self) -> Any:
        import torch

        if self.device.type == "cuda" and self.method.mixed_precision:
            return torch.autocast("cuda")
        return nullcontext()


def covariance(sources: Sources) -> np.ndarray:
    """(K, K) float64 covariance of the sources over the foreground, gathered slab by slab."""
    many = len(sources.arrays)
    count, total, products = 0, np.zeros(many), np.zeros((many, many))
    for start, stop in _steps(sources):
        values = sources.slab(start, stop)[:, sources.mask[start:stop]].astype(np.float64)
        count += values.shape[1]
        total += values.sum(1)
        products += values @ values.T
    # An empty foreground has no moments; one voxel's worth of zeros says "constant".
    mean = total / max(count, 1)
    return products / max(count, 1) - np.outer(mean, mean)


def _steps(sources: Sources) -> Iterator[tuple[int, int]]:
    size = max(1, _CACHE_VOXELS // sources.mask[0].size)
    return ((start, min(start + size, sources.length)) for start in range(0, sources.length, size))
