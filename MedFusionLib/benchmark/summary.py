"""Means of a benchmark, with intervals over patients.

Slices of one patient are no independent samples: whole patients are resampled (METRICS, section 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MedFusionLib.benchmark.groups import Group, nanmean

FEWEST_PATIENTS = 3
"""Fewer have no interval and no test."""

_MANY_PATIENTS = 20
"""From here on the bias-corrected bootstrap is worth its name."""

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation over cases, and the 95 % interval of the mean over patients (NaN if too few)."""

    mean: float
    sd: float
    low: float
    high: float
    cases: int


def summaries(group: Group) -> list[list[Summary]]:
    """A row a method, a column a metric."""
    found = []
    for m in range(len(group.methods)):
        values = group.values[m]
        mean, sd, count = nanmean(values), _nansd(values), (~np.isnan(values)).sum(0)
        low, high = _interval(group, m)
        found.append([Summary(*each) for each in zip(mean, sd, low, high, count.tolist(), strict=True)])
    return found


def _interval(group: Group, method: int) -> tuple[np.ndarray, np.ndarray]:
    """(J,) ends of the 95 % interval: whole patients are resampled, with all of their cases."""
    patients = group.known_patients
    nothing = np.full(len(group.metrics), np.nan)
    if len(patients) < FEWEST_PATIENTS:
        return nothing, nothing
    who, values = np.array(group.patients), group.values[method]
    sums = np.stack([np.nansum(values[who == p], 0) for p in patients], 1)
    counts = np.stack([(~np.isnan(values[who == p])).sum(0) for p in patients], 1)
    if (counts == 0).any():
        return nothing, nothing
    return bootstrapped(sums, counts)


def bootstrapped(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of sum / count, (J, P) resampled together along P."""
    from scipy.stats import bootstrap

    method = "BCa" if sums.shape[1] >= _MANY_PATIENTS else "percentile"
    constant = np.ptp(sums / counts, axis=1) == 0
    result = bootstrap(
        (sums, counts.astype(float)),
        lambda s, c, axis: s.sum(axis) / c.sum(axis),
        paired=True,
        axis=1,
        n_resamples=_RESAMPLES,
        batch=500,
        method="percentile" if constant.any() else method,
        rng=np.random.default_rng(0),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def _nansd(values: np.ndarray) -> np.ndarray:
    return np.sqrt(nanmean((values - nanmean(values)) ** 2))
