"""From one value a source to one value: mean, sum, harmonic mean, smallest, weighted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from MedFusionLib.errors import ParameterError
from MedFusionLib.metrics._domain import divided

if TYPE_CHECKING:
    from MedFusionLib.registry import Metric


def pooled(metric: Metric, values: Tensor | tuple[Tensor, Tensor], pool: str = "") -> Tensor:
    """(B,) of what a metric's function returned.

    Sources without a value (NaN: a constant source carries nothing) are left out; NaN if none has one. The harmonic
    mean takes negative values for 0: one source that is lost makes all of it 0, so a copy of the other gains nothing.

    Raises:
        ParameterError: if the metric has one value from the start and a pooling is asked for, or there is no such one.
    """
    weights = None
    if isinstance(values, tuple):
        values, weights = values
    able = () if values.ndim == 1 else ("mean", "sum", "hm", "min") + (() if weights is None else ("weighted",))
    how = pool or metric.pool
    if pool and pool not in able:
        accepted = ", ".join(able) or f"none: {metric.name} has one value for all sources"
        raise ParameterError(f"Pooling of {metric.name}", found=repr(pool), accepted=accepted)
    if values.ndim == 1:
        return values
    live = ~values.isnan()
    known, number = torch.where(live, values, 0), live.sum(1).to(values.dtype)
    nothing = torch.full_like(number, torch.nan)
    if how == "weighted" and weights is not None:
        share = torch.where(live, weights, 0)
        return divided((known * share).sum(1), share.sum(1), torch.nan)
    if how == "sum":
        return torch.where(number > 0, known.sum(1), nothing)
    if how == "min":
        return torch.where(number > 0, torch.where(live, values, torch.inf).amin(1), nothing)
    if how == "hm":
        lost = (live & (values <= 0)).any(1)
        inverse = torch.where(live & (values > 0), 1 / torch.where(known > 0, known, 1), 0).sum(1)
        return torch.where(number > 0, torch.where(lost, 0, number / torch.where(inverse > 0, inverse, 1)), nothing)
    return torch.where(number > 0, known.sum(1) / number.clamp(min=1), nothing)
