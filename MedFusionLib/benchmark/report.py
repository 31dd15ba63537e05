"""The files of a benchmark: summary.csv, ranks.csv, summary.md for reading, report.html that stands alone."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MedFusionLib import __version__
from MedFusionLib.benchmark.cases import Case
from MedFusionLib.benchmark.groups import Group, groups_of
from MedFusionLib.benchmark.html import page
from MedFusionLib.benchmark.ranks import Ranking, by_rank, is_ranked, rank
from MedFusionLib.benchmark.summary import summaries
from MedFusionLib.benchmark.table import Row
from MedFusionLib.benchmark.words import about, told
from MedFusionLib.benchmark.work import Plan
from MedFusionLib.save import writing_beside

if TYPE_CHECKING:
    from MedFusionLib.slabs import Progress

ALL_GROUPS = "all groups"
"""The group of the rows of ranks.csv that rank over all."""

_FEWEST_CASES = 3
"""A group of fewer cases is in the CSV files and the HTML report, but no table of the Markdown page."""


def write_report(
    out: Path,
    rows: Sequence[Row],
    measured: Sequence[Row],
    cases: Sequence[Case],
    plan: Plan,
    progress: Progress | None = None,
) -> list[Path]:
    """Write all files; their paths.

    Args:
        out: the folder.
        rows: one a case and method, as `work.score_case` makes them.
        measured: one a method, as `work.measure` makes them.
        cases: what was asked for this time; rows of others are left out.
        plan: likewise for methods.
        progress: called while pictures are made.
    """
    wanted = {(case.group, case.name) for case in cases}
    allowed = {*plan.methods, *(row["method"] for row in rows if row["kind"] != "method")}
    rows = [row for row in rows if (row["group"], row["case"]) in wanted and row["method"] in allowed]
    groups = groups_of(rows, plan.columns())
    rankings = [rank([group], [column for column in group.metrics if is_ranked(column)]) for group in groups]
    ours = [group for group in groups if "published" not in group.kinds]
    overall = rank(ours, [column for column in plan.columns() if is_ranked(column)]) if len(ours) > 1 else None
    written = [
        _csv(out / "summary.csv", _summary_rows(groups)),
        _csv(out / "ranks.csv", _rank_rows(groups, rankings, overall)),
    ]
    with writing_beside(out / "summary.md") as draft:
        draft.write_text(_markdown(groups, rankings, overall, measured, rows), encoding="utf-8")
    with writing_beside(out / "report.html") as draft:
        draft.write_text(page(groups, rankings, overall, measured, cases, plan, progress), encoding="utf-8")
    return [out / "cases.csv", out / "methods.csv", *written, out / "summary.md", out / "report.html"]


def _csv(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with writing_beside(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _summary_rows(groups: Sequence[Group]) -> Iterable[dict[str, Any]]:
    for group in groups:
        for method, kind, found in zip(group.methods, group.kinds, summaries(group), strict=True):
            for metric, summary in zip(group.metrics, found, strict=True):
                numbers = {"mean": summary.mean, "sd": summary.sd, "low_95": summary.low, "high_95": summary.high}
                yield {
                    **{"group": group.name, "method": method, "kind": kind, "metric": metric, "cases": summary.cases},
                    **{name: _blank(value) for name, value in numbers.items()},
                }


def _rank_rows(
    groups: Sequence[Group], rankings: Sequence[Ranking | None], overall: Ranking | None
) -> Iterable[dict[str, Any]]:
    named = [(group.name, ranking) for group, ranking in zip(groups, rankings, strict=True)]
    for name, ranking in [*named, (ALL_GROUPS, overall)]:
        if ranking is None:
            continue
        for m in np.argsort(ranking.mean):
            yield {
                "group": name,
                "method": ranking.methods[m],
                "mean_rank": ranking.mean[m],
                "low_95": _blank(ranking.low[m]),
                "high_95": _blank(ranking.high[m]),
                "borda": ranking.borda[m],
                "largest_change": ranking.change[m],
                "patients": ranking.blocks,
                "dropped_cells": ranking.dropped,
                "friedman_p": _blank(ranking.friedman),
                "critical_difference": _blank(ranking.critical),
                **dict(zip(ranking.metrics, ranking.by_metric[:, m], strict=True)),
            }


def _blank(value: float) -> float | str:
    return "" if math.isnan(value) else float(value)


def _markdown(
    groups: Sequence[Group],
    rankings: Sequence[Ranking | None],
    overall: Ranking | None,
    measured: Sequence[Row],
    rows: Sequence[Row],
) -> str:
    lines = [
        "Mean over cases; in italics what is no method but a yardstick. `:hm` is the harmonic mean over sources, "
        "`:min` the source that fares worse.",
        "Mean rank: 1 is best; slices of one patient are averaged first, each family of metrics has one vote.",
        "",
    ]
    for group, ranking in zip(groups, rankings, strict=True):
        if len(group.cases) >= _FEWEST_CASES:
            lines += [f"## {group.name}", "", about(group, ranking), "", *_table(group, ranking), ""]
    small = [group.name for group in groups if len(group.cases) < _FEWEST_CASES]
    if small:
        lines += [f"Fewer than {_FEWEST_CASES} cases, see the CSV files: {'; '.join(small)}.", ""]
    if overall:
        lines += ["## Mean rank over all sets", "", told(overall), "", *_overall(overall), ""]
    lines += ["## Time and memory", "", *_measured(measured), ""]
    failed = [row for row in rows if row["seconds"] == "" and row["kind"] == "method"]
    lines += [f"- {row['method']} failed on {row['group']} {row['case']}: {row['note']}" for row in failed]
    return "\n".join([*lines, f"MedFusion {__version__}.", ""])


def _table(group: Group, ranking: Ranking | None) -> list[str]:
    places = dict(zip(ranking.methods, range(len(ranking.methods)), strict=True)) if ranking else {}
    found = summaries(group)
    lines = [
        "| method | cases | " + " | ".join(group.metrics) + " | mean rank |",
        "|---" * (len(group.metrics) + 3) + "|",
    ]
    for m in by_rank(group, ranking):
        name = group.methods[m]
        cells = [_mean_cell(summary.mean, summary.low, summary.high) for summary in found[m]]
        mean = _rank_cell(ranking, places[name]) if ranking and name in places else ""
        shown = f"*{name}*" if group.kinds[m] == "trivial" else name
        lines.append(f"| {shown} | {group.counts[m]} | " + " | ".join(cells) + f" | {mean} |")
    return lines


def _mean_cell(mean: float, low: float, high: float) -> str:
    if math.isnan(mean):
        return "-"
    return f"{mean:.3f}" if math.isnan(low) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _rank_cell(ranking: Ranking, m: int) -> str:
    low, high = ranking.low[m], ranking.high[m]
    interval = "" if math.isnan(low) else f" [{low:.1f}, {high:.1f}]"
    return f"{ranking.mean[m]:.2f}{interval}"


def _overall(ranking: Ranking) -> list[str]:
    lines = ["| method | mean rank | Borda | largest change without one metric |", "|---|---|---|---|"]
    for m in np.argsort(ranking.mean):
        change = f"{ranking.change[m]:g}"
        lines.append(f"| {ranking.methods[m]} | {_rank_cell(ranking, m)} | {ranking.borda[m]:.2f} | {change} |")
    return lines


def _measured(measured: Sequence[Row]) -> list[str]:
    sizes = sorted({row["size"] for row in measured})
    lines = [f"One {' or '.join(sizes)} case, fusion alone; the peak is that of the whole process.", ""]
    lines += ["| method | seconds | peak MB |", "|---|---|---|"]
    for row in sorted(measured, key=lambda row: float(row["seconds"])):
        lines.append(f"| {row['method']} | {float(row['seconds']):.4f} | {float(row['peak_mb']):.0f} |")
    return lines
