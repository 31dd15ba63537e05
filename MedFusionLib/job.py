"""A computation in a thread of its own, for front ends that must not wait: the Slicer panel, the browser app."""

from __future__ import annotations

import concurrent.futures
import queue
from collections.abc import Callable
from typing import Any

from MedFusionLib.errors import Cancelled


class Job:
    """Starts at once; what it reports waits in a queue until the main thread looks.

    Args:
        compute: called with the keyword `progress`, a function of (fraction, message); touches neither scene nor
            widgets.
    """

    def __init__(self, compute: Callable[..., Any]):
        self.cancelled = False
        self._reports: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._future = executor.submit(compute, progress=self._report)
        executor.shutdown(wait=False)

    def _report(self, fraction: float, message: str) -> None:
        if self.cancelled:
            raise Cancelled(message)
        self._reports.put((fraction, message))

    def cancel(self) -> None:
        """End at the next report; whatever comes out is not to be used."""
        self.cancelled = True

    def reports(self) -> list[tuple[float, str]]:
        """The (fraction, message) pairs since the last look."""
        return [self._reports.get() for _ in range(self._reports.qsize())]

    def is_done(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, waiting so long for it."""
        return bool(concurrent.futures.wait([self._future], timeout=seconds).done)

    def result(self) -> Any:
        """What it returned; raises what it raised."""
        return self._future.result()
