"""Scores of the results as plain data for the page: a row a metric, a cell with its bar a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from MedFusionLib.scores import Evaluation, Score

_BETTER = {"up": "higher is better", "down": "lower is better", "zero": "nearer to 0 is better", "none": "describes"}

COLORS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00")
"""Told apart by color-blind people too (Okabe and Ito)."""


def score_table(results: Sequence[tuple[str, Evaluation]]) -> dict[str, Any]:
    """The scores of named results side by side.

    Args:
        results: name and evaluation of each.

    Returns:
        `columns` (name, color), `rows` (metric, title, better, cells of text, bar and best) and `notes`.
    """
    names = list(dict.fromkeys(score.name for _, evaluation in results for score in evaluation.scores))
    columns = [{"name": name, "color": COLORS[n % len(COLORS)]} for n, (name, _) in enumerate(results)]
    notes = list(dict.fromkeys(warning for _, evaluation in results for warning in evaluation.warnings))
    return {"columns": columns, "rows": [_row(name, results) for name in names], "notes": notes}


def _row(name: str, results: Sequence[tuple[str, Evaluation]]) -> dict[str, Any]:
    scores = [next((s for s in evaluation.scores if s.name == name), None) for _, evaluation in results]
    known = next(score for score in scores if score is not None)
    best = _best([score.value for score in scores if score is not None], known.direction)
    return {
        "metric": name,
        "title": known.title,
        "better": _BETTER[known.direction],
        "cells": [_cell(score, best if len(results) > 1 else math.nan) for score in scores],
    }


def _cell(score: Score | None, best: float) -> dict[str, Any]:
    if score is None or math.isnan(score.value):
        return {"text": "–", "bar": 0, "best": False, "why": score.reason if score else "not scored"}  # noqa: RUF001
    bar = score.normalized
    return {
        "text": f"{score.value:.3f} {score.unit}".rstrip(),
        "bar": 0 if math.isnan(bar) else round(100 * bar, 1),
        "best": score.value == best,
        "why": "",
    }


def _best(values: list[float], direction: str) -> float:
    known = [value for value in values if not math.isnan(value)]
    if not known or direction == "none":
        return math.nan
    if direction == "zero":
        return min(known, key=abs)
    return max(known) if direction == "up" else min(known)
