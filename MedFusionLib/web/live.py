"""The live preview: one slice fused again whenever a choice or the axial view moves."""

from __future__ import annotations

from typing import Any

from MedFusionLib.preview import Preview, Shown
from MedFusionLib.web.session import Choices, Session

_HEAD_FOOT = 2


class Live:
    """Keeps a `Preview` of the chosen sources, and asks it for what is wanted now.

    Args:
        session: of the tab.
    """

    def __init__(self, session: Session):
        self._session = session
        self._preview: Preview | None = None
        self._key: tuple[Any, ...] = ()
        self._asked: tuple[Any, ...] = ()
        self._axis = 0
        self._warm = False

    def want(self, choices: Choices, at: tuple[float, float, float]) -> None:
        """Ask for the axial slice at this place with these choices, unless it was asked for already."""
        self._renew(choices)
        wanted = (choices.method, tuple(sorted(choices.parameters.items())), at)
        if self._preview is not None and wanted != self._asked:
            self._asked = wanted
            self._preview.ask(at, axis=self._axis, method=choices.method, parameters=choices.parameters)

    def take(self) -> Shown | None:
        """What was finished since the last call."""
        shown = self._preview.take() if self._preview else None
        if shown is not None and not self._warm:
            # The first slice pays for what is loaded once: asked again, it tells how long slices take.
            self._warm, self._asked = True, ()
        return shown

    @property
    def busy(self) -> bool:
        """Whether something is being fused."""
        return self._preview is not None and self._preview.busy

    def close(self) -> None:
        """End it."""
        if self._preview is not None:
            self._preview.close()
        self._preview, self._key, self._asked = None, (), ()

    def _renew(self, choices: Choices) -> None:
        """Begin anew if the sources are others, or lie elsewhere, than those it works on."""
        aligned = self._session.aligned(choices)
        moved = () if aligned is None else aligned.poses
        key = (choices.sources, choices.reference, choices.color, moved)
        if key == self._key:
            return
        self.close()
        copies = self._session.copies(choices)
        reference = choices.sources.index(choices.reference)
        self._axis = copies[reference].grid.axis_along(_HEAD_FOOT)
        poses = moved if any(moved) else None
        self._preview = Preview(
            lambda: [copied.volume() for copied in copies], reference=reference, color=choices.color, poses=poses
        )
        self._key = key
