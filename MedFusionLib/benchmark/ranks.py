"""Mean ranks of a benchmark, and who differs from whom: slices of a patient are averaged first, patients are blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MedFusionLib.benchmark.groups import Group, nanmean
from MedFusionLib.benchmark.summary import FEWEST_PATIENTS, bootstrapped
from MedFusionLib.scoring import COMPAT, metric_of

_SAME = 1e-6
"""Relative difference below which two methods tie."""


@dataclass(frozen=True)
class Ranking:
    """Mean ranks (1 is best) of the methods that have a result for every case.

    Args:
        methods: M names.
        by_metric: (J, M) mean ranks of single metrics.
        metrics: J names.
        mean: (M,) over metrics (each family has one vote) and patients.
        low, high: (M,) 95 % interval over patients, NaN if too few.
        change: (M,) largest change of place when one metric is left out.
        blocks: patients the ranks are averaged over; 1 if they are not told.
        dropped: (patient, metric) cells left out since a method had no value.
        friedman: p-value that all are equal; NaN if too few patients.
        critical: Nemenyi's critical difference of mean ranks at 5 %; NaN likewise.
        nemenyi: (M, M) p-values of pairs, or None.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    by_metric: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    change: np.ndarray
    blocks: int
    dropped: int
    friedman: float
    critical: float
    nemenyi: np.ndarray | None

    @property
    def borda(self) -> np.ndarray:
        """(M,) share of the other methods that each one beats."""
        return (len(self.methods) - self.mean) / max(1, len(self.methods) - 1)


def rank(groups: Sequence[Group], metrics: Sequence[str]) -> Ranking | None:
    """Rank the methods that are complete in all groups; a block is a patient of a group. None if fewer than two."""
    shared = [name for name in groups[0].methods if all(_is_complete(group, name) for group in groups)]
    used = [metric for metric in metrics if all(metric in group.metrics for group in groups)]
    if len(shared) < 2 or not used:
        return None
    ranks = np.concatenate([_ranks(group, shared, used) for group in groups])
    dropped = int(np.isnan(ranks[:, :, 0]).sum())
    weights = np.array([_weight(metric, used) for metric in used])
    blocks = _weighted(ranks, weights)
    blocks = blocks[~np.isnan(blocks[:, 0])]
    if not len(blocks):
        return None
    enough = len(blocks) >= FEWEST_PATIENTS and all(group.known_patients for group in groups)
    nothing = np.full(len(shared), np.nan)
    low, high = bootstrapped(blocks.T, np.ones_like(blocks.T)) if enough else (nothing, nothing)
    friedman, critical, nemenyi = _tests(blocks) if enough and len(shared) > 2 else (math.nan, math.nan, None)
    return Ranking(
        tuple(shared),
        tuple(used),
        nanmean(ranks),
        blocks.mean(0),
        low,
        high,
        _change(ranks, weights),
        len(blocks),
        dropped,
        friedman,
        critical,
        nemenyi,
    )


def mean_ranks(values: np.ndarray, metrics: Sequence[str]) -> np.ndarray:
    """(M,) mean ranks (1 is best) of M methods on one case; NaN for all if no metric judges.

    Args:
        values: (M, J) scores; a metric that a method lacks (NaN) is left out.
        metrics: J names; those that only describe do not count, each family has one vote.
    """
    from scipy.stats import rankdata

    used = [j for j, name in enumerate(metrics) if is_ranked(name) and not np.isnan(values[:, j]).any()]
    if not used:
        return np.full(len(values), np.nan)
    names = [metrics[j] for j in used]
    ranks = np.stack([rankdata(_better_first(values[:, j], metrics[j])) for j in used])
    return np.average(ranks, axis=0, weights=[_weight(name, names) for name in names])


def by_rank(group: Group, ranking: Ranking | None) -> list[int]:
    """The methods of a group, the best first, those without a rank last."""
    means = dict(zip(ranking.methods, ranking.mean, strict=True)) if ranking else {}
    return sorted(range(len(group.methods)), key=lambda m: means.get(group.methods[m], math.inf))


def _is_complete(group: Group, name: str) -> bool:
    return name in group.methods and group.methods.index(name) in group.complete


def _ranks(group: Group, methods: Sequence[str], metrics: Sequence[str]) -> np.ndarray:
    """(P, J, M) ranks within each patient and metric; NaN for all where one method has no value."""
    from scipy.stats import rankdata

    columns = [group.metrics.index(metric) for metric in metrics]
    values = np.stack([group.by_patient(group.methods.index(name))[:, columns] for name in methods], -1)
    keys = np.stack([_better_first(values[:, j], metric) for j, metric in enumerate(metrics)], 1)
    ranks = rankdata(keys, axis=-1)
    return np.where(np.isnan(values).any(-1, keepdims=True), np.nan, ranks)


def _better_first(values: np.ndarray, metric: str) -> np.ndarray:
    """Numbers that sort the best first, and are equal where two methods tie."""
    direction = metric_of(metric).direction
    keys = {"up": -values, "zero": np.abs(values)}.get(direction, values)
    scale = _SAME * np.nanmax(np.abs(keys), axis=-1, keepdims=True)
    return np.rint(keys / np.where(scale > 0, scale, 1))


def is_ranked(column: str) -> bool:
    """Whether a column judges: it does not only describe, is not the task's, and not a part of another column."""
    metric = metric_of(column)
    published = column in COMPAT["cvpr23"]
    judges = metric.direction != "none" and metric.family not in ("task", "color", "statistics")
    return published or (judges and not column.endswith(":min"))


def _weight(metric: str, metrics: Sequence[str]) -> float:
    """Each family of metrics has one vote."""
    families = [metric_of(name).family for name in metrics]
    return 1 / families.count(metric_of(metric).family)


def _weighted(ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(P, M) weighted means over metrics, dropped cells left out."""
    live = ~np.isnan(ranks)
    share = weights[None, :, None] * live
    with np.errstate(invalid="ignore"):
        return (np.nan_to_num(ranks) * share).sum(1) / share.sum(1)


def _change(ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(M,) by how many places a method moves at most when one metric is left out."""
    from scipy.stats import rankdata

    whole = rankdata(nanmean(_weighted(ranks, weights)))
    if len(weights) == 1:
        return np.zeros_like(whole)
    kept = [np.arange(len(weights)) != j for j in range(len(weights))]
    without = [rankdata(nanmean(_weighted(ranks[:, keep], weights[keep]))) for keep in kept]
    return np.abs(np.array(without) - whole).max(0)


def _tests(blocks: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Friedman's p-value, Nemenyi's critical difference at 5 % and p-values of pairs, on (P, M) mean ranks."""
    from scikit_posthocs import posthoc_nemenyi_friedman
    from scipy.stats import friedmanchisquare, studentized_range

    count, methods = blocks.shape
    quantile = studentized_range.ppf(0.95, methods, np.inf) / math.sqrt(2)
    critical = quantile * math.sqrt(methods * (methods + 1) / (6 * count))
    pairs = posthoc_nemenyi_friedman(blocks).to_numpy()
    return float(friedmanchisquare(*blocks.T).pvalue), critical, pairs
