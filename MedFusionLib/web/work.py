"""How the page does long work: in a thread, looked at from time to time, with what goes wrong told in words."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trame_server.state import State
from trame_server.utils.asynchronous import create_task

from MedFusionLib.errors import InputError, MedFusionError
from MedFusionLib.job import Job

_LOOK = 0.1
"""Seconds between two looks at a job."""


class Work:
    """One job at a time, and the page's word for it.

    Args:
        state: of the page.
    """

    def __init__(self, state: State):
        self._state = state
        self._job: Job | None = None
        self._hidden: set[str] = set()

    def hide(self, folder: Path) -> None:
        """Leave this folder out of what is told: where files lie on the server is nothing for the page."""
        self._hidden.add(f"{folder}{os.sep}")

    def start(self, message: str, compute: Callable[..., Any], present: Callable[[Any], None]) -> None:
        """Compute in a thread; `present` gets what comes out, in this one.

        Raises:
            InputError: if other work is going on.
        """
        if self._job is not None:
            raise InputError("New work", found="a run is going on", fix="Wait for its end, or cancel it")
        self._job = Job(compute)
        self._state.update({"busy": True, "cancelling": False, "progress": 0, "message": message, "error": ""})
        # Not awaited: the click would not end before the job does, and a click on Cancel would wait behind it.
        create_task(self._follow(self._job, present))

    async def _follow(self, job: Job, present: Callable[[Any], None]) -> None:
        while not job.is_done():
            reports = job.reports()
            if reports and not job.cancelled:
                with self._state as state:
                    state.progress, state.message = round(100 * reports[-1][0]), reports[-1][1]
            await asyncio.sleep(_LOOK)
        self._job = None
        with self._state as state:
            state.busy = state.cancelling = False
            state.message = "Canceled. Nothing was changed." if job.cancelled else ""
            if not job.cancelled:
                self.guarded(lambda: present(job.result()))

    def cancel(self) -> None:
        """Ask the job to stop at its next report."""
        if self._job is not None:
            self._job.cancel()
            self._state.update({"cancelling": True, "message": "Canceling…"})

    def guarded(self, action: Callable[[], None]) -> None:
        """Do it; what goes wrong is shown."""
        try:
            action()
        except MedFusionError as error:
            self.fail(str(error))
        except Exception as error:
            logging.getLogger("MedFusionLib").exception("In the browser app")
            self.fail(f"Unexpected {type(error).__name__}: {error}. The terminal shows more")

    def fail(self, message: str) -> None:
        """Show an error."""
        # The longest first: a folder may lie in another.
        for folder in sorted(self._hidden, key=len, reverse=True):
            message = message.replace(folder, "")
        self._state.error = message
