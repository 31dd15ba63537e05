"""One slice fused while its parameters change: in a thread of its own, the newest request wins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from MedFusionLib.errors import Cancelled, GeometryError
from MedFusionLib.harmonize import align
from MedFusionLib.harmonize.grid import part_of
from MedFusionLib.pipeline import AUTOMATIC, fuse_aligned
from MedFusionLib.volume import Aligned, Fused, Grid, Volume


def slice_of(aligned: Aligned, axis: int, index: int) -> Aligned:
    """One slice of aligned volumes, where it lies.

    Args:
        aligned: the volumes.
        axis: 0, 1 or 2, the array axis (k, j, i) that is cut.
        index: of the slice along it.

    Raises:
        GeometryError: if there is no such slice.
    """
    size = aligned.grid.shape[axis]
    if not 0 <= index < size:
        raise GeometryError("Slice", found=f"number {index} along axis {axis}", accepted=f"0 to {size - 1}")
    first, last = [0, 0, 0], [n - 1 for n in aligned.grid.shape]
    first[axis] = last[axis] = index
    grid = part_of(aligned.grid, first, last)
    here = tuple(slice(start, stop + 1) for start, stop in zip(first, last, strict=True))
    return replace(
        aligned,
        volumes=tuple(replace(volume, array=volume.array[here], grid=grid) for volume in aligned.volumes),
        fields=aligned.fields[:, *here],
        mask=aligned.mask[here],
        chroma=None if aligned.chroma is None else aligned.chroma[here],
    )


def index_along(grid: Grid, axis: int, at: Sequence[float]) -> int:
    """Number of the slice nearest to a place (RAS mm) along an array axis; it may lie outside of the grid."""
    return round(float((np.linalg.inv(grid.affine) @ (*at, 1))[2 - axis]))


@dataclass(frozen=True, eq=False)
class Shown:
    """A fused slice, or why there is none.

    Args:
        fused: one slice, at its place; None if it could not be fused.
        source: the reference's same slice, in [0, 1]; None likewise.
        error: what went wrong, or None.
        seconds: that fusing the slice took.
        seconds_volume: what the whole volume would take at this rate.
        method: that was asked for.
        axis: the array axis that was cut.
        notes: of the alignment, such as a misalignment that was seen.
    """

    fused: Fused | None
    source: Volume | None
    error: Exception | None
    seconds: float
    seconds_volume: float
    method: str
    axis: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Request:
    at: Sequence[float]
    axis: int
    method: str
    parameters: Mapping[str, Any] | None


class Preview:
    """Aligns volumes once, then fuses single slices of them; requests never queue up.

    What whole volumes decide, such as the weights of `pca`, is decided here by the slice: methods that work in 3-D, or
    look at all slices at once, can differ a little from their result.

    Args:
        volumes: the sources, or a function that makes them in the preview's thread.
        device: as in `fuse`.
        choices: of `harmonize.align`.
    """

    def __init__(
        self, volumes: Sequence[Volume] | Callable[[], Sequence[Volume]], *, device: str = AUTOMATIC, **choices: Any
    ):
        self._volumes, self._device, self._choices = volumes, device, choices
        self._aligned: Aligned | None = None
        self._changed = threading.Condition()
        self._request: _Request | None = None
        self._answer: Shown | None = None
        self._busy = self._closed = False
        threading.Thread(target=self._work, name="MedFusion preview", daemon=True).start()

    def ask(
        self,
        at: Sequence[float],
        *,
        axis: int = 0,
        method: str = "laplacian",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Want this slice; an older request that has not begun is forgotten, one that runs is stopped where it reports.

        Args:
            at: RAS mm of a place that the slice goes through.
            axis: 0, 1 or 2, the array axis (k, j, i) of the reference's grid that is cut.
            method: a name of `list_methods()`.
            parameters: of the method.
        """
        with self._changed:
            self._request = _Request(tuple(at), axis, method, parameters)
            self._changed.notify()

    def take(self) -> Shown | None:
        """The newest slice that was finished since the last call, or None."""
        with self._changed:
            answer, self._answer = self._answer, None
        return answer

    @property
    def busy(self) -> bool:
        """Whether a slice is wanted that is not finished."""
        with self._changed:
            return self._busy or self._request is not None

    def close(self) -> None:
        """End the thread, at the next report of what runs."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.wait_for(lambda: self._closed or self._request is not None)
                if self._closed:
                    return
                request, self._request, self._busy = self._request, None, True
            try:
                answer = self._fused(request)  # type: ignore[arg-type]
            except Cancelled:
                continue
            except Exception as error:
                # Whatever it is, the thread must live on and the front end must show it.
                answer = Shown(None, None, error, 0.0, 0.0, request.method, request.axis)  # type: ignore[union-attr]
            with self._changed:
                self._answer = answer

    def _fused(self, request: _Request) -> Shown:
        if self._aligned is None:
            volumes = self._volumes() if callable(self._volumes) else self._volumes
            self._aligned = align(volumes, progress=self._unless_closed, **self._choices)
        whole = self._aligned
        cut = slice_of(whole, request.axis, index_along(whole.grid, request.axis, request.at))
        start = perf_counter()
        fused = fuse_aligned(
            cut,
            method=request.method,
            parameters=request.parameters,
            device=self._device,
            progress=self._unless_outdated,
        )
        seconds = perf_counter() - start
        return Shown(
            fused,
            cut.volumes[cut.reference],
            None,
            seconds,
            seconds * whole.grid.shape[request.axis],
            request.method,
            request.axis,
            tuple(whole.story["notes"]),
        )

    def _unless_closed(self, fraction: float, message: str) -> None:
        if self._closed:
            raise Cancelled(message)

    def _unless_outdated(self, fraction: float, message: str) -> None:
        # A slice that is all but done is shown, so that something moves under a slider that is being dragged.
        if self._closed or (self._request is not None and fraction < 1):
            raise Cancelled(message)
