"""What the buttons of the page do: each starts work of the session and shows what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trame_server import Server

from MedFusionLib.errors import FileError
from MedFusionLib.scores import Evaluation
from MedFusionLib.volume import Aligned, Fused
from MedFusionLib.web.display import Display, choices_of
from MedFusionLib.web.forms import defaults_of, fields_of, method_facts
from MedFusionLib.web.scores import score_table
from MedFusionLib.web.session import CHOSEN, DICOM, GUESS, PHANTOM, Choices, Read, Session
from MedFusionLib.web.start import start_state
from MedFusionLib.web.uploads import Inbox
from MedFusionLib.web.views import Views, is_renderable
from MedFusionLib.web.work import Work

_ORIGINS = {DICOM: "told by the DICOM header", GUESS: "a guess", PHANTOM: "made so", CHOSEN: "chosen by you"}
"""Who says that a volume is what its menu shows."""


class Actions:
    """Binds one page to one session.

    Args:
        server: of the page.
        session: what it works on.
        views: what shows it.
        inbox: where uploads land.
    """

    def __init__(self, server: Server, session: Session, views: Views, inbox: Inbox):
        self.state, self.session, self.inbox = server.state, session, inbox
        self.state.update(start_state())
        self.work = Work(self.state)
        self.work.hide(inbox.folder)
        self.display = Display(self.state, session, views, self.work)
        self.state.change("method")(self.on_method)
        self.state.change("result")(self.on_result)
        server.trigger("files_came")(self.open_uploads)
        server.trigger("files_refused")(self.work.fail)

    def open_uploads(self) -> None:
        """Read what was uploaded since the last time."""
        self.work.guarded(lambda: self.open_files(self.inbox.take))

    def open_files(self, paths: Callable[[], Sequence[Path]]) -> None:
        """Read volumes, off the main thread already where it looks for them."""

        def compute(progress: Callable[[float, str], None]) -> list[Read]:
            progress(0, "Looking at the files")
            found = paths()
            if not found:
                raise FileError("Upload", found="no file", fix="Drop or choose files again")
            for path in found:
                self.work.hide(path.parent)
            return self.session.reading(found)(progress)

        self.work.start("Reading", compute, self.add_sources)

    def open_phantom(self) -> None:
        """Bring in the synthetic head."""
        self.work.guarded(lambda: self.work.start("Making the phantom", self.session.phantom(), self.add_sources))

    def add_sources(self, found: list[Read]) -> None:
        """Show new volumes, the first two over each other, together or one by one."""
        first = not self.session.sources
        self.session.add(found)
        self.refresh()
        ids = list(self.session.sources)
        if not self.session.results and not self.state.over:
            self.state.update({"base": ids[0], "over": ids[1] if len(ids) > 1 else ""})
            self.display.on_layers()
        if first:
            self.display.fit()
            self.state.rendered = next((each["value"] for each in self.state.renderable), "")

    def set_modality(self, source_id: str, modality: str) -> None:
        """Read a volume again as what the person says it is."""

        def present(read: Read) -> None:
            self.session.replace(source_id, read)
            self.refresh()
            self.display.on_layers()

        self.work.guarded(
            lambda: self.work.start(f"Reading as {modality}", self.session.rereading(source_id, modality), present)
        )
        # The menu shows what it was until it has been read: the file may say no.
        self.refresh()

    def remove(self, source_id: str) -> None:
        """Take a volume out; a second click may come before the page has heard of the first."""
        if source_id not in self.session.sources:
            return
        self.display.forget()
        self.session.remove(source_id)
        for name in ("base", "over", "rendered"):
            if self.state[name] == source_id:
                self.state[name] = next(iter(self.session.sources), "") if name == "base" else ""
        self.refresh()

    def refresh(self) -> None:
        """Tell the page which volumes and results there are."""
        used = {source["id"]: source["used"] for source in self.state.sources}
        self.state.sources = [
            {
                "id": name,
                "name": source.node.GetName(),
                "detail": _detail(source.node, source.unit),
                "modality": source.modality,
                "guess": source.origin == GUESS,
                "fixed": source.origin == PHANTOM,
                "origin": _ORIGINS[source.origin],
                "used": used.get(name, True),
            }
            for name, source in self.session.sources.items()
        ]
        if self.state.reference not in self.session.sources:
            self.state.reference = next(iter(self.session.sources), "")
        nodes = [each.node for known in (self.session.sources, self.session.results) for each in known.values()]
        self.state.layers = [_item(node) for node in nodes]
        self.state.renderable = [_item(node) for node in nodes if is_renderable(node)]
        self.state.results = [_item(each.node) for each in self.session.results.values()]

    def run(self) -> None:
        """Fuse the ticked volumes."""

        def begin() -> None:
            choices = choices_of(self.state)

            def present(found: tuple[Aligned, Fused]) -> None:
                self.show_result(choices, *found)

            self.work.start("Starting", self.session.fusing(choices), present)

        self.work.guarded(begin)

    def show_result(self, choices: Choices, aligned: Aligned, fused: Fused) -> None:
        """Show what was fused, alone."""
        result = self.session.add_result(choices, aligned, fused)
        name = result.node.GetID()
        self.refresh()
        seconds = sum(fused.story["seconds"].values())
        self.state.update({"notes": list(fused.story["notes"]), "live": False, "mode": "blend"})
        self.state.update({"result": name, "base": name, "over": ""})
        self.state.message = f"Done in {seconds:.1f} s: {result.node.GetName()}"
        if is_renderable(result.node):
            self.state.rendered = name

    def score(self) -> None:
        """Score the chosen result."""
        name = self.state.result

        def present(evaluation: Evaluation) -> None:
            self.session.add_scores(name, evaluation)
            scored = [(each.node.GetName(), each.evaluation) for each in self.session.results.values()]
            self.state.scores = score_table([(title, found) for title, found in scored if found is not None])
            self.state.update({"scores_open": True, "scored": True})

        self.work.guarded(lambda: self.work.start("Scoring", self.session.scoring(name), present))

    def on_result(self, **_: Any) -> None:
        """Say whether the chosen result has been scored."""
        result = self.session.results.get(self.state.result)
        self.state.scored = bool(result and result.evaluation)

    def on_method(self, **_: Any) -> None:
        """Show the form of the chosen method."""
        method = self.state.method
        facts = {"facts": method_facts(method), "fields": fields_of(method), "parameters": defaults_of(method)}
        self.state.update(facts)


def _item(node: Any) -> dict[str, str]:
    return {"value": node.GetID(), "title": node.GetName()}


def _detail(node: Any, unit: str) -> str:
    size = "×".join(map(str, node.GetImageData().GetDimensions()))  # noqa: RUF001
    spacing = "×".join(f"{step:.3g}" for step in node.GetSpacing())  # noqa: RUF001
    return f"{size} of {spacing} mm, {unit}"
