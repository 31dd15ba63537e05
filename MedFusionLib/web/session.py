"""What one tab works on: its scene, volumes, results and the work itself. Knows of no browser, so scripts can drive it.

Long work comes in two: a method here copies what is needed and returns a function of `progress` for any thread (a
`Job`), and another puts what came out into the scene, in the main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from MedFusionLib.errors import InputError
from MedFusionLib.mrml import Copied, add_result, add_scores, copies_of_nodes, node_from_volume
from MedFusionLib.mrml_poses import add_poses
from MedFusionLib.scores import Evaluation
from MedFusionLib.volume import Aligned, Fused, Volume
from MedFusionLib.web.guess import modality_in

DICOM, GUESS, CHOSEN, PHANTOM = "DICOM", "guess", "chosen", "phantom"
"""Who said what modality a volume is."""

_PHANTOM = ("MR", "PET")
_PHANTOM_SPACING = (2.0, 2.0, 2.0)


@dataclass(frozen=True)
class Read:
    """A volume from a file, not yet in the scene."""

    volume: Volume
    path: Path | None
    origin: str


@dataclass
class Source:
    """A volume in the scene that can be fused."""

    node: Any
    path: Path | None
    modality: str
    origin: str
    unit: str


@dataclass(frozen=True)
class Choices:
    """What is to be fused, and how: node IDs, then keywords as `pipeline.fuse` takes them."""

    sources: tuple[str, ...]
    reference: str
    method: str = "laplacian"
    parameters: dict[str, Any] = field(default_factory=dict)
    register: str = "none"
    color: str = "auto"


@dataclass
class Result:
    """A fused volume in the scene; the table and scores once it was scored."""

    node: Any
    choices: Choices
    fused: Fused
    aligned: Aligned
    evaluation: Evaluation | None = None
    table: Any = None


@dataclass
class _Alignment:
    """The last volumes that were brought together, kept for the next method: registering takes the longest."""

    key: tuple[Any, ...]
    aligned: Aligned
    transforms: list[Any] = field(default_factory=list)


class Session:
    """One tab.

    Args:
        scene: a vtkMRMLScene, filled as work goes on.
    """

    def __init__(self, scene: Any):
        self.scene = scene
        self.sources: dict[str, Source] = {}
        self.results: dict[str, Result] = {}
        self._alignment: _Alignment | None = None

    def reading(self, paths: Sequence[Path]) -> Callable[..., list[Read]]:
        """Read files; the modality that a file does not tell is guessed by its name and values."""
        from MedFusionLib.load import load_volume

        def read(path: Path) -> Read:
            from MedFusionLib.errors import ModalityError

            try:
                return Read(load_volume(path), path, DICOM)
            except ModalityError:
                guessed = load_volume(path, "OTHER")
                modality = modality_in(guessed)
                return Read(load_volume(path, modality) if modality != "OTHER" else guessed, path, GUESS)

        def compute(progress: Callable[[float, str], None]) -> list[Read]:
            found = []
            for number, path in enumerate(paths):
                progress(number / len(paths), f"Reading volume {number + 1} of {len(paths)}")
                found.append(read(path))
            return found

        return compute

    def phantom(self) -> Callable[..., list[Read]]:
        """Make the synthetic head, seen by two scanners."""
        from MedFusionLib.phantom import head_phantom

        def compute(progress: Callable[[float, str], None]) -> list[Read]:
            found = []
            for number, modality in enumerate(_PHANTOM):
                progress(number / len(_PHANTOM), f"Making the head in {modality}")
                found.append(Read(head_phantom(modality, spacing=_PHANTOM_SPACING), None, PHANTOM))
            return found

        return compute

    def add(self, found: Sequence[Read]) -> list[Source]:
        """Put volumes that were read into the scene."""
        added = []
        for read in found:
            node = node_from_volume(self.scene, read.volume)
            source = Source(node, read.path, read.volume.modality, read.origin, read.volume.unit)
            self.sources[node.GetID()] = source
            added.append(source)
        return added

    def rereading(self, source_id: str, modality: str) -> Callable[..., Read]:
        """Read a source again as another modality: its unit may be another."""
        from MedFusionLib.load import load_volume

        path = self.sources[source_id].path
        if path is None:
            raise InputError("Modality of the phantom", found=modality, accepted="its own")
        return lambda progress: Read(load_volume(path, modality), path, CHOSEN)

    def replace(self, source_id: str, read: Read) -> None:
        """Fill a source with what was read again."""
        source = self.sources[source_id]
        node_from_volume(self.scene, read.volume, node=source.node)
        source.modality, source.unit, source.origin = read.volume.modality, read.volume.unit, read.origin
        self._alignment = None

    def remove(self, source_id: str) -> None:
        """Take a source out of the scene; results that were made of it stay."""
        self.scene.RemoveNode(self.sources.pop(source_id).node)
        self._alignment = None

    def copies(self, choices: Choices) -> list[Copied]:
        """Copies of the chosen sources where the files put them, even if a registration has moved their nodes."""
        chosen = [self.sources[name] for name in choices.sources]
        nodes = [source.node for source in chosen]
        moved = [node.GetTransformNodeID() for node in nodes]
        for node in nodes:
            node.SetAndObserveTransformNodeID(None)
        try:
            return copies_of_nodes(nodes, [source.modality for source in chosen])
        finally:
            for node, transform in zip(nodes, moved, strict=True):
                node.SetAndObserveTransformNodeID(transform)

    def aligned(self, choices: Choices) -> Aligned | None:
        """The chosen sources on one grid, if the last work brought them there."""
        kept = self._alignment
        return kept.aligned if kept and kept.key == _key(choices) else None

    def aligning(self, choices: Choices) -> Callable[..., Aligned]:
        """Bring the chosen sources to one grid; registers them if asked to."""
        from MedFusionLib.pipeline import bring_together

        kept = self.aligned(choices)
        if kept is not None:
            return lambda progress: kept
        copies = self.copies(choices)
        return lambda progress: bring_together(
            [copied.volume() for copied in copies],
            register=choices.register,
            reference=choices.sources.index(choices.reference),
            color=choices.color,
            progress=progress,
        )

    def keep(self, choices: Choices, aligned: Aligned) -> None:
        """Keep aligned sources for what comes next."""
        if self.aligned(choices) is None:
            self._alignment = _Alignment(_key(choices), aligned)

    def fusing(self, choices: Choices) -> Callable[..., tuple[Aligned, Fused]]:
        """Fuse the chosen sources."""
        from MedFusionLib.pipeline import check_choices, fuse_aligned, part

        align = self.aligning(choices)

        def compute(progress: Callable[[float, str], None]) -> tuple[Aligned, Fused]:
            check_choices(choices.method, choices.parameters, "auto", "auto", choices.register)
            aligned = align(progress=part(progress, 0, 0.5))
            fused = fuse_aligned(
                aligned, method=choices.method, parameters=choices.parameters, progress=part(progress, 0.5, 1)
            )
            return aligned, fused

        return compute

    def add_result(self, choices: Choices, aligned: Aligned, fused: Fused) -> Result:
        """Put a result into the scene, and the sources that were registered to their place."""
        nodes = [self.sources[name].node for name in choices.sources]
        self.keep(choices, aligned)
        kept = self._alignment
        assert kept is not None
        moved = [node for node, pose in zip(nodes, fused.poses, strict=True) if pose is not None]
        if moved and not kept.transforms:
            kept.transforms = add_poses(self.scene, fused, nodes)
        for node in nodes:
            node.SetAndObserveTransformNodeID(None)
        for node, transform in zip(moved, kept.transforms, strict=True):
            node.SetAndObserveTransformNodeID(transform.GetID())
        result = Result(add_result(self.scene, fused, nodes), choices, fused, aligned)
        self.results[result.node.GetID()] = result
        return result

    def scoring(self, result_id: str) -> Callable[..., Evaluation]:
        """Score a result against its sources."""
        from MedFusionLib.scoring import evaluate

        result = self.results[result_id]
        return lambda progress: evaluate(result.fused, result.aligned, progress=progress)

    def add_scores(self, result_id: str, evaluation: Evaluation) -> None:
        """Put scores into the scene, and into the chart of all scored results."""
        result = self.results[result_id]
        result.evaluation = evaluation
        result.table = add_scores(self.scene, evaluation, f"{result.node.GetName()} scores", result.table)

    def comparable(self, first: str, second: str, choices: Choices) -> tuple[Volume, Volume] | None:
        """Two volumes on one grid, in [0, 1]; None if `aligning` must bring them there first.

        Raises:
            InputError: if they are the same, or results of different sources.
        """
        results = [self.results[name] for name in (first, second) if name in self.results]
        aligned = results[0].aligned if results else self.aligned(choices)
        known = {} if aligned is None else dict(zip(_sources(results, choices), aligned.volumes, strict=True))
        known |= {name: self.results[name].fused.volume for name in (first, second) if name in self.results}
        if aligned is None and {first, second} <= set(choices.sources) and first != second:
            return None
        if first == second or not {first, second} <= known.keys() or not known[first].grid.same_as(known[second].grid):
            raise InputError(
                "Volumes to compare",
                found="a pair that shares no grid",
                accepted="two volumes that are ticked, or a result and one it was made of",
                fix="Choose another pair above the views",
            )
        return known[first], known[second]

    def save_result(self, result_id: str, path: Path) -> Path:
        """Write a result to a file; its ending says the format."""
        from MedFusionLib.save import save_volume

        return save_volume(self.results[result_id].fused.shown, path)

    def save_scene(self, path: Path) -> Path:
        """Write everything as a scene that Slicer opens, with a chart of the scores."""
        from MedFusionLib.errors import SaveError
        from MedFusionLib.mrml_results import add_score_chart

        tables = [result.table for result in self.results.values() if result.table]
        before = set(self.scene.GetNodes())
        if tables:
            add_score_chart(self.scene, tables)
        of_this_moment = set(self.scene.GetNodes()) - before
        try:
            if not self.scene.WriteToMRB(str(path.absolute())):
                raise SaveError("Slicer scene", found=f"{path.name} not written", fix="See that the disk has space")
        finally:
            for node in of_this_moment:
                self.scene.RemoveNode(node)
        return path


def _sources(results: Sequence[Result], choices: Choices) -> tuple[str, ...]:
    return results[0].choices.sources if results else choices.sources


def _key(choices: Choices) -> tuple[Any, ...]:
    return choices.sources, choices.reference, choices.register, choices.color
