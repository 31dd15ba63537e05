"""One case of a benchmark: fuse it by every method, score every result. Runs in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from MedFusionLib.benchmark.cases import Case
from MedFusionLib.errors import DataError, MedFusionError
from MedFusionLib.harmonize import align
from MedFusionLib.load import load_volume
from MedFusionLib.pipeline import fuse_aligned
from MedFusionLib.registry import find_metric, list_metrics
from MedFusionLib.scores import Evaluation
from MedFusionLib.scoring import COMPAT, PANEL, evaluate, fused_from
from MedFusionLib.volume import Aligned, Fused, Volume

TRIVIAL = ("average", "maximum")
"""Methods that every benchmark shows, beside a copy of each source: what beats none of them has shown nothing."""

_REPEATS = 3


@dataclass(frozen=True)
class Plan:
    """What to do with every case.

    Args:
        methods: names of `list_methods()`, beside `TRIVIAL`.
        metrics: "panel", "all" or names, as `evaluate` takes them.
        compat: a convention of published tables instead, or None.
        device: as in `pipeline.fuse`.
    """

    methods: tuple[str, ...]
    metrics: str | tuple[str, ...] = "panel"
    compat: str | None = None
    device: str = "auto"

    def columns(self) -> list[str]:
        """The columns that scores may fill; the smallest value of a source stands beside what pools the sources."""
        if self.compat:
            return list(COMPAT[self.compat])
        known = list_metrics()
        extra = [name for name, metric in known.items() if metric.family in ("task", "color")]
        names = {"panel": [*PANEL, *extra], "all": [*PANEL, *known]}.get(str(self.metrics), list(self.metrics))
        return list(dict.fromkeys(column for name in names for column in (name, *_smallest(name))))


def _smallest(name: str) -> list[str]:
    metric, _, pool = name.partition(":")
    entry = find_metric(metric)
    return [f"{metric}:min"] if entry.pool and entry.direction == "up" and pool != "min" else []


def entries_of(case: Case, plan: Plan) -> dict[str, str]:
    """Every row of a case and its kind: method, trivial or published."""
    copies = [copy_name(case, number) for number in range(len(case.sources))]
    methods = dict.fromkeys(plan.methods, "method")
    return methods | dict.fromkeys([*TRIVIAL, *copies], "trivial") | dict.fromkeys(case.published, "published")


def copy_name(case: Case, number: int) -> str:
    """What the row is called that returns one source."""
    modalities = [modality for _, modality in case.sources]
    told = modalities[number] if modalities.count(modalities[number]) == 1 else f"source {number + 1}"
    return f"copy {told}"


def score_case(case: Case, plan: Plan, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of one case, one for each entry that is wanted; a failure is a row with a note."""
    aligned = loaded(case)
    label = load_volume(case.label, "OTHER") if case.label else None
    kinds, rows = entries_of(case, plan), []
    for entry in wanted:
        row: dict[str, Any] = {
            "group": case.group,
            "case": case.name,
            "patient": case.patient,
            "method": entry,
            "kind": kinds[entry],
        }
        try:
            start = perf_counter()
            fused = fused_by(entry, case, aligned, plan)
            row["seconds"] = "" if kinds[entry] == "published" else perf_counter() - start
            evaluation = evaluate(fused, aligned, plan.metrics, label=label, compat=plan.compat, device=plan.device)
            row |= _scores(evaluation, plan.compat)
        except MedFusionError as error:
            row["note"] = str(error)
        rows.append(row)
    return rows


def _scores(evaluation: Evaluation, compat: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for score in evaluation.scores:
        found[score.name] = score.value
        if not compat:
            found |= dict.fromkeys(_smallest(score.name), score.worst_source)
    reasons = [f"{score.name}: {score.reason}" for score in evaluation.scores if score.reason]
    return found | {"note": "; ".join([*evaluation.warnings, *reasons])}


def loaded(case: Case) -> Aligned:
    """The sources of a case on the grid of the first."""
    return align([_source(path, modality, case) for path, modality in case.sources])


def _source(path: Path, modality: str, case: Case) -> Volume:
    # OTHER is never taken for uptake: what is left of a color image is its luma, as in the published work.
    return load_volume(path, "OTHER" if case.luma else modality, name=modality)


def fused_by(entry: str, case: Case, aligned: Aligned, plan: Plan) -> Fused:
    """The result of one entry: a method's, a copy of a source, or a file that others made.

    Raises:
        DataError: if a published image has another size than its sources.
    """
    if entry in case.published:
        return _published(case.published[entry], aligned)
    copies = {copy_name(case, number): number for number in range(len(case.sources))}
    if entry in copies:
        return Fused(aligned.volumes[copies[entry]], None, {"method": entry})
    return fuse_aligned(aligned, method=entry, device=plan.device)


def _published(path: Path, aligned: Aligned) -> Fused:
    """A picture knows no place: it lies where its sources do, if it has their size."""
    volume = load_volume(path, "OTHER")
    if volume.grid.shape != aligned.grid.shape:
        size = " x ".join(map(str, aligned.grid.shape[:0:-1]))
        found = " x ".join(map(str, volume.grid.shape[:0:-1]))
        raise DataError(f"Published result {path}", found=found, accepted=f"the size of its sources, {size}")
    return fused_from(replace(volume, grid=aligned.grid))


def measure(case: Case, method: str, device: str) -> dict[str, Any]:
    """Seconds (median after a warm-up) and peak memory of this process for one method: call it in a fresh one."""
    aligned = loaded(case)
    seconds = []
    for _ in range(1 + _REPEATS):
        start = perf_counter()
        fuse_aligned(aligned, method=method, device=device)
        seconds.append(perf_counter() - start)
    shape = " x ".join(map(str, aligned.grid.shape[::-1]))
    return {"method": method, "size": shape, "seconds": median(seconds[1:]), "peak_mb": _peak_megabytes()}


def _peak_megabytes() -> float:
    import re

    status = Path("/proc/self/status")
    if not status.is_file():
        return math.nan
    # Not ru_maxrss: on Linux a child inherits its parent's.
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
    return int(found.group(1)) / 1024 if found else math.nan
