"""The whole benchmark: find the cases, score them in parallel, rank, report. Run again, it goes on where it stopped."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MedFusionLib import __version__
from MedFusionLib.benchmark.cases import Case, cases_of, published_cases
from MedFusionLib.benchmark.table import Rows
from MedFusionLib.benchmark.work import TRIVIAL, Plan, entries_of, measure, score_case
from MedFusionLib.errors import DependencyError, FileError, ParameterError
from MedFusionLib.pipeline import part
from MedFusionLib.registry import find_method, list_methods
from MedFusionLib.save import check_folder

if TYPE_CHECKING:
    from MedFusionLib.slabs import Progress

_SCORING, _MEASURING = 0.85, 0.95
"""Where on the progress bar scoring and measuring end."""


def run_benchmark(
    out: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    outputs: str | os.PathLike[str] | None = None,
    *,
    methods: Sequence[str] | None = None,
    metrics: str | Sequence[str] = "panel",
    split: str = "test",
    compat: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Compare methods, and images that others fused, over a data set.

    In a script that starts it, keep the call under `if __name__ == "__main__":`; the processes it starts import the
    script.

    Args:
        out: the folder of the results; one that holds half of the same benchmark is completed.
        data: a folder as `cases.cases_of` describes it.
        outputs: a folder of published results as `cases.published_cases` describes it; methods are run on their inputs
            too.
        methods: names of `list_methods()`, all by default; average, maximum and a copy of each source are always added.
        metrics: as `evaluate` takes them.
        split: "test", "train" or "all".
        compat: score by a convention of published tables instead: "cvpr23".
        device: as in `pipeline.fuse`.
        jobs: processes at once; as many as there are cores by default.
        progress: as in `pipeline.fuse`; raise `Cancelled` in it to stop: what is done is kept.

    Returns:
        The files: cases.csv (a row a case and method), methods.csv (time and memory), summary.csv, ranks.csv,
        summary.md, report.html.

    Raises:
        FileError: nothing to compare, or `out` holds a benchmark of other settings.
        UnknownNameError, ParameterError: an unknown method, metric, convention or split.
        DependencyError: if jinja2, matplotlib or scikit-posthocs is missing.
    """
    _require_report()
    cases, plan = _asked(data, outputs, methods, metrics, split, compat, device)
    if jobs is not None and jobs < 1:
        raise ParameterError("Jobs", found=jobs, accepted="1 or more")
    out = Path(out)
    check_folder(out / "cases.csv")
    out.mkdir(parents=True, exist_ok=True)
    settings = {"medfusion": __version__, "metrics": plan.columns(), "compat": compat}
    rows = Rows(out / "cases.csv", plan.columns(), settings)
    _score(rows, cases, plan, jobs or _cores(), part(progress, 0, _SCORING))
    measured = Rows(out / "methods.csv", ["size", "peak_mb"], {"medfusion": __version__, "device": device})
    _measure(measured, cases[0], plan, part(progress, _SCORING, _MEASURING))
    from MedFusionLib.benchmark.report import write_report

    return write_report(out, rows.all, measured.all, cases, plan, part(progress, _MEASURING, 1))


def _cores() -> int:
    import torch

    # What this process may use, not what the machine has.
    return torch.get_num_threads()


def _require_report() -> None:
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import scikit_posthocs  # noqa: F401
    except ImportError as cause:
        raise DependencyError(
            "Benchmark",
            found=str(cause),
            accepted="jinja2, matplotlib and scikit-posthocs",
            fix='pip install "medfusion[report]"',
        ) from cause


def _asked(
    data: Any, outputs: Any, methods: Sequence[str] | None, metrics: Any, split: str, compat: str | None, device: str
) -> tuple[list[Case], Plan]:
    """The cases and the plan, checked before any work."""
    if data is None and outputs is None:
        raise FileError("Benchmark", found="neither data nor outputs", accepted="one of them, or both")
    chosen = [find_method(name).name for name in methods] if methods else list(list_methods())
    wanted = metrics if isinstance(metrics, str) else tuple(metrics)
    wanted = wanted if wanted in ("panel", "all") or not isinstance(wanted, str) else (wanted,)
    plan = Plan(tuple(name for name in chosen if name not in TRIVIAL), wanted, compat, device)
    plan.columns()
    cases = cases_of(Path(data), split) if data is not None else []
    return cases + (published_cases(Path(outputs)) if outputs is not None else []), plan


@contextmanager
def _processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes, not forks: a fork of a process with torch's threads may hang. Stopping drops what waits."""
    executor = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _one_thread if count > 1 else None)
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _score(rows: Rows, cases: Sequence[Case], plan: Plan, workers: int, progress: Progress | None) -> None:
    todo = [(case, _missing(case, plan, rows)) for case in cases]
    todo = [(case, missing) for case, missing in todo if missing]
    if not todo:
        return
    with _processes(min(workers, len(todo))) as executor:
        started: dict[Future, Case] = {executor.submit(score_case, case, plan, missing): case for case, missing in todo}
        if progress:
            progress(0.0, f"Scoring {len(todo)} cases")
        for number, future in enumerate(as_completed(started), 1):
            rows.append(future.result())
            if progress:
                progress(number / len(todo), f"{started[future].group} {started[future].name}")


def _missing(case: Case, plan: Plan, rows: Rows) -> list[str]:
    return [entry for entry in entries_of(case, plan) if (case.group, case.name, entry) not in rows]


def _measure(measured: Rows, case: Case, plan: Plan, progress: Progress | None) -> None:
    """Time and peak memory of each method, one at a time and each in a process of its own."""
    todo = [method for method in (*TRIVIAL, *plan.methods) if (case.group, case.name, method) not in measured]
    for number, method in enumerate(todo):
        if progress:
            progress(number / len(todo), f"Measuring {method}")
        with _processes(1) as executor:
            found = executor.submit(measure, case, method, plan.device).result()
        measured.append([{"group": case.group, "case": case.name, **found}])
