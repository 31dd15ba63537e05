"""The rows of a benchmark as arrays, a group for each data set."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from MedFusionLib.benchmark.cases import UNKNOWN
from MedFusionLib.benchmark.table import Row


@dataclass(frozen=True)
class Group:
    """The rows of one data set as an array.

    Args:
        name: of the set.
        methods: M of them, in the order of the rows.
        metrics: J columns.
        values: (M, N, J), NaN where a method has no row or no value.
        cases: N case names.
        patients: of each case; `UNKNOWN` where it is not told.
        kinds: of each method: method, trivial or published.
        whole: name of the set that these cases are a part of, if they are.
    """

    name: str
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    values: np.ndarray
    cases: tuple[str, ...]
    patients: tuple[str, ...]
    kinds: tuple[str, ...]
    whole: str = ""

    @property
    def of(self) -> str:
        """The data set that this is, or is a part of."""
        return self.whole or self.name

    @property
    def counts(self) -> np.ndarray:
        """(M,) cases that each method has a result for."""
        return (~np.isnan(self.values).all(2)).sum(1)

    @property
    def complete(self) -> list[int]:
        """The methods with a result for every case: only these can be ranked."""
        return [m for m, count in enumerate(self.counts) if count == len(self.cases)]

    @property
    def known_patients(self) -> list[str]:
        """Each patient once; empty if any case's patient is not told."""
        return [] if UNKNOWN in self.patients else sorted(set(self.patients))

    def by_patient(self, method: int) -> np.ndarray:
        """(P, J) means over each patient's cases, NaN left out."""
        who = np.array(self.patients)
        if not self.known_patients:
            return nanmean(self.values[method])[None]
        return np.stack([nanmean(self.values[method, who == patient]) for patient in self.known_patients])

    def part(self, cases: Sequence[int], name: str) -> Group:
        """Some of the cases, and the methods that have a result for all of them."""
        values = self.values[:, list(cases)]
        able = [m for m in range(len(self.methods)) if not np.isnan(values[m]).all(1).any()]
        return Group(
            name,
            tuple(self.methods[m] for m in able),
            self.metrics,
            values[able],
            tuple(self.cases[n] for n in cases),
            tuple(self.patients[n] for n in cases),
            tuple(self.kinds[m] for m in able),
            self.of,
        )


def groups_of(rows: Sequence[Row], metrics: Sequence[str]) -> list[Group]:
    """The rows, a group for each data set; columns without any value are left out.

    Where others published results for some cases only, each such part is a group, so that all are compared on the same
    cases.
    """
    found: list[Group] = []
    for group in _whole_groups(rows, metrics):
        covered: dict[tuple[int, ...], list[str]] = {}
        for m, kind in enumerate(group.kinds):
            if kind == "published":
                cases = tuple(np.flatnonzero(~np.isnan(group.values[m]).all(1)).tolist())
                covered.setdefault(cases, []).append(group.methods[m])
        if not covered:
            found.append(group)
        for cases, methods in sorted(covered.items(), key=lambda each: -len(each[0])):
            whole = len(cases) == len(group.cases)
            found.append(group.part(cases, group.name if whole else f"{group.name}, cases of {', '.join(methods)}"))
    return found


def _whole_groups(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[Group]:
    for name in dict.fromkeys(row["group"] for row in rows):
        own = [row for row in rows if row["group"] == name]
        methods = list(dict.fromkeys(row["method"] for row in own))
        cases = {row["case"]: row["patient"] for row in own}
        kinds = {row["method"]: row["kind"] for row in own}
        where = {case: n for n, case in enumerate(cases)}
        values = np.full((len(methods), len(cases), len(metrics)), np.nan)
        for row in own:
            place = methods.index(row["method"]), where[row["case"]]
            values[place] = [_number(row.get(metric)) for metric in metrics]
        used = ~np.isnan(values).all((0, 1))
        yield Group(
            name,
            tuple(methods),
            tuple(metric for metric, live in zip(metrics, used, strict=True) if live),
            values[..., used],
            tuple(cases),
            tuple(cases.values()),
            tuple(kinds[method] for method in methods),
        )


def _number(text: Any) -> float:
    return float(text) if text not in ("", None) else math.nan


def nanmean(values: np.ndarray) -> np.ndarray:
    """Mean along the first axis without NaN, and without a warning where all are."""
    live = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.nansum(values, 0) / live.sum(0)
