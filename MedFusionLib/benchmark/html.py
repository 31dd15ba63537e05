"""The report as one HTML page that needs nothing else: sortable tables, box plots, best and worst cases as pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from MedFusionLib import __version__
from MedFusionLib.benchmark._template import TEMPLATE
from MedFusionLib.benchmark.cases import Case
from MedFusionLib.benchmark.groups import Group
from MedFusionLib.benchmark.plots import box_plots, difference_diagram, small_jpeg
from MedFusionLib.benchmark.ranks import Ranking, by_rank, is_ranked
from MedFusionLib.benchmark.summary import summaries
from MedFusionLib.benchmark.table import Row
from MedFusionLib.benchmark.words import about, told
from MedFusionLib.benchmark.work import Plan, fused_by, loaded
from MedFusionLib.scoring import metric_of

if TYPE_CHECKING:
    from MedFusionLib.slabs import Progress


def page(
    groups: Sequence[Group],
    rankings: Sequence[Ranking | None],
    overall: Ranking | None,
    measured: Sequence[Row],
    cases: Sequence[Case],
    plan: Plan,
    progress: Progress | None = None,
) -> str:
    """The whole page; arguments as `report.write_report` has them."""
    from jinja2 import Environment

    by_name = {(case.group, case.name): case for case in cases}
    sections = []
    for number, (group, ranking) in enumerate(zip(groups, rankings, strict=True)):
        if progress:
            progress(number / len(groups), f"Pictures of {group.name}")
        sections.append(
            {
                "name": group.name,
                "about": about(group, ranking),
                "metrics": group.metrics,
                "rows": list(_rows(group, ranking)),
                "diagram": _diagram(ranking),
                "boxes": _embedded(box_plots(group, ranked_columns(group)), "png"),
                "extremes": list(_extremes(group, by_name, plan)),
            }
        )
    return (
        Environment(autoescape=True)
        .from_string(TEMPLATE)
        .render(
            version=__version__,
            sections=sections,
            overall=overall,
            overall_told=told(overall) if overall else "",
            overall_rows=_ranks(overall) if overall else [],
            overall_diagram=_diagram(overall),
            measured=measured,
        )
    )


def ranked_columns(group: Group) -> list[str]:
    """The columns of a group that judge; all if none does."""
    return [metric for metric in group.metrics if is_ranked(metric)] or list(group.metrics)


def _rows(group: Group, ranking: Ranking | None) -> Iterator[dict[str, Any]]:
    places = {name: m for m, name in enumerate(ranking.methods)} if ranking else {}
    table = summaries(group)
    for m in by_rank(group, ranking):
        name, found = group.methods[m], table[m]
        row: dict[str, Any] = {"name": name, "kind": group.kinds[m], "cases": group.counts[m], "rank": None}
        row["cells"] = [_cell(s.mean, f"± {s.sd:.3f}", s.low, s.high) for s in found]
        if ranking and name in places:
            place = places[name]
            row["rank"] = _cell(ranking.mean[place], "", ranking.low[place], ranking.high[place], 2)
        yield row


def _ranks(ranking: Ranking) -> list[dict[str, Any]]:
    return [
        {
            "name": ranking.methods[m],
            "mean": _cell(ranking.mean[m], "", ranking.low[m], ranking.high[m], 2),
            "borda": ranking.borda[m],
            "change": ranking.change[m],
            "by_metric": ranking.by_metric[:, m],
        }
        for m in np.argsort(ranking.mean)
    ]


def _cell(value: float, spread: str, low: float, high: float, digits: int = 3) -> dict[str, Any] | None:
    if math.isnan(value):
        return None
    interval = "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return {"value": value, "shown": f"{value:.{digits}f}", "small": spread + interval}


def _diagram(ranking: Ranking | None) -> str:
    return "" if ranking is None or ranking.nemenyi is None else _embedded(difference_diagram(ranking), "png")


def _extremes(group: Group, cases: dict[tuple[str, str], Case], plan: Plan) -> Iterator[dict[str, str]]:
    """The montage of each method's best and worst case, by the mean of its normalized scores."""
    from MedFusionLib.present import montage

    scores = _normalized(group)
    for m, method in enumerate(group.methods):
        if group.kinds[m] == "trivial" or np.isnan(scores[m]).all():
            continue
        for words, n in (("best", int(np.nanargmax(scores[m]))), ("worst", int(np.nanargmin(scores[m])))):
            case = cases[group.of, group.cases[n]]
            aligned = loaded(case)
            picture = small_jpeg(montage(aligned, fused_by(method, case, aligned, plan)))
            caption = f"{method}, {words}: {case.name}, mean normalized score {scores[m, n]:.3f}"
            yield {"caption": caption, "picture": _embedded(picture, "jpeg")}


def _normalized(group: Group) -> np.ndarray:
    """(M, N) means over the ranked metrics that have fixed anchors, each in [0, 1]."""
    columns = []
    for metric in ranked_columns(group):
        best = metric_of(metric).identical
        if isinstance(best, float) and best > 0:
            columns.append(np.clip(group.values[:, :, group.metrics.index(metric)] / best, 0, 1))
    return np.mean(columns, 0) if columns else np.full(group.values.shape[:2], np.nan)


def _embedded(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
