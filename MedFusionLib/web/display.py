"""What the page shows of the volumes: blended or in turns, in space, and fused live."""

from __future__ import annotations

import asyncio
from typing import Any

from trame_server.state import State
from trame_server.utils.asynchronous import create_task

from MedFusionLib.checkerboard import checkerboard
from MedFusionLib.errors import InputError
from MedFusionLib.volume import Aligned
from MedFusionLib.web.live import Live
from MedFusionLib.web.session import Choices, Session
from MedFusionLib.web.views import Views
from MedFusionLib.web.work import Work

_LOOK = 0.1
"""Seconds between two looks at the live preview."""


def choices_of(state: State) -> Choices:
    """What the page asks to be fused.

    Raises:
        InputError: if fewer than two volumes are ticked.
    """
    used = tuple(source["id"] for source in state.sources if source["used"])
    if len(used) < 2:
        raise InputError("Volumes to fuse", found=len(used), accepted="two or more", fix="Tick two volumes in step 1")
    reference = state.reference if state.reference in used else used[0]
    return Choices(used, reference, state.method, dict(state.parameters), state.register, state.color)


class Display:
    """Follows what the page says is to be shown.

    Args:
        state: of the page.
        session: whose volumes are shown.
        views: where.
        work: for what takes long.
    """

    def __init__(self, state: State, session: Session, views: Views, work: Work):
        self._state, self._session, self._views, self._work = state, session, views, work
        self._live = Live(session)
        state.change("base", "over", "opacity", "mode", "squares")(self.on_layers)
        state.change("rendered")(self.on_rendered)
        state.change("live")(self.on_live)

    def fit(self) -> None:
        """Show everything."""
        self._views.fit()

    def forget(self) -> None:
        """End the live preview: its sources are changing."""
        self._live.close()

    def on_layers(self, **_: Any) -> None:
        """Show the chosen layers, blended or in turns."""
        turns = self._state.mode == "checkerboard" and self._state.base and self._state.over
        self._work.guarded(self._checker if turns else self._blend)

    def _blend(self) -> None:
        state = self._state
        self._views.show(self._node(state.base), self._node(state.over), float(state.opacity))

    def _checker(self) -> None:
        state, choices = self._state, choices_of(self._state)
        pair = self._session.comparable(state.base, state.over, choices)
        if pair is not None:
            self._views.show_board(checkerboard(*pair, int(state.squares)))
            return

        def present(aligned: Aligned) -> None:
            self._session.keep(choices, aligned)
            self.on_layers()

        self._work.start("Bringing the volumes to one grid", self._session.aligning(choices), present)

    def on_rendered(self, **_: Any) -> None:
        """Show the chosen volume in space."""
        self._work.guarded(lambda: self._views.render(self._node(self._state.rendered)))

    def _node(self, name: str) -> Any:
        known = self._session.sources.get(name) or self._session.results.get(name)
        return known.node if known else None

    def on_live(self, **_: Any) -> None:
        """Start the live preview; it ends itself."""
        if self._state.live:
            create_task(self._keep_live())

    async def _keep_live(self) -> None:
        """Follow every choice while the switch is on."""
        while self._state.live:
            with self._state:
                self._work.guarded(self._look)
            await asyncio.sleep(_LOOK)
        with self._state:
            self._live.close()
            self._views.show_preview(None)
            self._state.live_text = ""

    def _look(self) -> None:
        state = self._state
        try:
            self._live.want(choices_of(state), self._views.axial_place())
        except InputError:
            state.live = False
            raise
        shown = self._live.take()
        if shown is None:
            state.live_text = state.live_text or "Preparing…"
        elif shown.fused is None:
            state.live_text = str(shown.error)
        else:
            self._views.show_preview(shown.fused.shown)
            state.live_text = f"Slice in {shown.seconds:.2g} s; the volume in about {_time(shown.seconds_volume)}"
            state.notes = list(shown.notes)


def _time(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 100 else f"{seconds / 60:.0f} min"
