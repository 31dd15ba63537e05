"""Scores without ground truth: `evaluate` measures a fused volume against the volumes it was made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from MedFusionLib._images import Images, colored_source
from MedFusionLib.errors import DataError, GeometryError, ParameterError, UnknownNameError
from MedFusionLib.harmonize import AUTOMATIC
from MedFusionLib.harmonize.color import luma
from MedFusionLib.pipeline import part
from MedFusionLib.registry import POOLINGS, Metric, find_metric, list_metrics
from MedFusionLib.scores import MASK, WHOLE, Evaluation, Score
from MedFusionLib.volume import LEVELS, Aligned, Fused, Volume

if TYPE_CHECKING:
    import torch

    from MedFusionLib.slabs import Progress

PANEL = ("qabf", "viff", "vifp:hm", "mef_ssim", "ms_ssim", "nmi:hm", "fmi:hm")
"""The default: one or two metrics of each family, none of which a copy of one source wins; hm is the harmonic mean."""

ALL = "all"
"""Every metric there is."""

_Published = dict[str, tuple[str, str, dict[str, Any]]]

COMPAT: dict[str, _Published] = {
    "cvpr23": {
        "EN": ("en", "", {}),
        "SD": ("sd", "", {}),
        "SF": ("sf", "", {}),
        "MI": ("mi", "sum", {"base": "nats"}),
        "SCD": ("scd", "", {}),
        "VIF": ("vifp", "sum", {}),
        "Qabf": ("qabf", "", {"variant": "hong"}),
        "SSIM": ("ssim", "sum", {"variant": "cvpr23"}),
    }
}
"""Conventions of published tables: column -> metric, pooling, variants. On the whole image, rounded to 8 bits."""

_FEWEST = 0.01
"""A slice with less foreground than this share is left out of a slice-wise score."""

_CHUNK = 2**19
"""Voxels of slices scored at once: temporaries stay small."""

_MOST_ARTIFACTS, _MOST_CONTRAST, _LEAST_SHARE = 0.03, 1.1, 0.2
"""Where the guards speak: Nabf, SD over the sources' largest SD, VIFp of one source over that of the other."""


def evaluate(
    fused: Fused,
    aligned: Aligned,
    metrics: str | Sequence[str] = "panel",
    *,
    domain: str | Volume = MASK,
    label: Volume | None = None,
    compat: str | None = None,
    device: str = AUTOMATIC,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a fused volume against its sources, on the harmonized values in [0, 1].

    Args:
        fused: the result. Its scalar volume is scored; the color metrics look at its color.
        aligned: the sources, on the result's grid.
        metrics: "panel" is `PANEL`, "all" every metric; both add the task metrics if there is a label, the color
            metrics if there is color, and warn if the guards see something. Or names of `list_metrics()`, each with
            another pooling after a colon if wanted ("vifp:min").
        domain: "mask" (the foreground, where any source shows something), "whole", or a volume: where it is not 0.
        label: a lesion or organ, where it is not 0: task metrics tell how well it stands out.
        compat: "cvpr23" scores as the published tables of that family do; `metrics` and `domain` are not used.
        device: as in `fuse`.
        progress: as in `fuse`.

    Raises:
        UnknownNameError: no such metric or convention.
        ParameterError: no such pooling or domain.
        GeometryError: if fused and sources lie on different grids.
        DataError: an empty mask or label, values that are no numbers, an image too small for a metric that was named.
    """
    if not fused.volume.grid.same_as(aligned.grid):
        raise GeometryError(
            "Fused volume to score",
            found=f"grid {fused.volume.grid.shape}",
            accepted=f"the sources' {aligned.grid.shape}, at the same place",
            fix="Align the sources to its grid: align(volumes, grid=fused.volume.grid)",
        )
    wanted = _published(compat) if compat else _chosen(metrics, fused, aligned, label)
    by_name = not compat and metrics not in ("panel", ALL)
    images = Images(fused, aligned, WHOLE if compat else domain, label, device, rounded=bool(compat))
    scores = []
    for number, (name, metric, pool, options) in enumerate(wanted):
        share = part(progress, number / len(wanted), (number + 1) / len(wanted))
        try:
            scores.append(_score(name, metric, pool, options, images, share))
        except DataError as error:
            if by_name:
                raise
            scores.append(_row(name, metric, math.nan, (), "", str(error)))
    if progress:
        progress(1.0, "Scored")
    warnings = () if by_name or compat else tuple(_guards(images, scores))
    return Evaluation(tuple(scores), tuple(volume.label for volume in aligned.volumes), warnings, images.domain)


def fused_from(volume: Volume) -> Fused:
    """An image that was fused elsewhere, ready to be scored: a scalar in [0, 1], or an 8-bit picture.

    Raises:
        DataError: if the values are neither.
    """
    array = volume.array
    if volume.is_color:
        return Fused(volume.with_array(luma(array / np.float32(255)), unit="a.u."), volume, {})
    if volume.unit == LEVELS:
        array = array / np.float32(255)
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise DataError(
            f"Fused volume {volume.label}",
            found=f"values from {np.nanmin(array):g} to {np.nanmax(array):g}",
            accepted="[0, 1], or an 8-bit picture",
            fix="Save it as MedFusion made it",
        )
    return Fused(volume.with_array(array, unit="a.u."), None, {})


def metric_of(name: str) -> Metric:
    """The metric behind a score's name: "vifp:hm", or a column of a published convention.

    Raises:
        UnknownNameError: if there is none.
    """
    columns = {column: metric for convention in COMPAT.values() for column, (metric, *_) in convention.items()}
    return find_metric(columns.get(name, name.partition(":")[0]))


_Wanted = tuple[str, Metric, str, dict[str, Any]]


def _published(compat: str) -> list[_Wanted]:
    if compat not in COMPAT:
        raise UnknownNameError("Convention of published tables", found=repr(compat), accepted=", ".join(COMPAT))
    return [(column, find_metric(name), pool, options) for column, (name, pool, options) in COMPAT[compat].items()]


def _chosen(metrics: str | Sequence[str], fused: Fused, aligned: Aligned, label: Volume | None) -> list[_Wanted]:
    if isinstance(metrics, str) and metrics not in ("panel", ALL):
        metrics = [metrics]
    if not isinstance(metrics, str):
        return [_one(name) for name in metrics]
    colored = fused.color is not None and colored_source(aligned)[1] is not None
    extra = {"task": label is not None, "color": colored}
    known = list_metrics()
    allowed = [name for name, metric in known.items() if extra.get(metric.family, metrics == ALL)]
    return [_one(name) for name in dict.fromkeys([*PANEL, *allowed])]


def _one(name: str) -> _Wanted:
    metric, _, pool = name.partition(":")
    if pool and pool not in POOLINGS:
        raise ParameterError(f"Pooling of {metric}", found=repr(pool), accepted=", ".join(POOLINGS))
    return name, find_metric(metric), pool, {}


def _score(
    name: str, metric: Metric, pool: str, options: dict[str, Any], images: Images, progress: Progress | None
) -> Score:
    """The score of an image or volume at once where the metric can, else of its slices."""
    from MedFusionLib.metrics._domain import fits
    from MedFusionLib.metrics._pooling import pooled

    handed = images.handed(metric)
    if progress:
        progress(0.0, metric.title)
    whole = not images.is_volume or (3 in metric.dims and not options and fits(metric, images.fused, images.spacing))
    if whole:
        # A paper's windows are in pixels of its images; surroundings of a lesion are in millimeters in a slice too.
        if "spacing" in metric.needs and (images.is_volume or "label" in metric.needs):
            handed["spacing"] = images.spacing
        values = metric.values(images.fused, images.sources, **handed, **options)
        value, sources = pooled(metric, values, pool), _per_source(values)
    else:
        value, sources = _by_slices(metric, pool, options, images, handed, progress)
    rule = ("volume" if whole else "slices") if images.is_volume else "image"
    return _row(name, metric, float(value), tuple(sources.flatten().tolist()), rule)


def _row(name: str, metric: Metric, value: float, each: tuple[float, ...], rule: str, reason: str = "") -> Score:
    best = metric.identical if isinstance(metric.identical, float) else math.nan
    if math.isnan(value) and not reason:
        reason = f"undefined: {metric.undefined}"
    _, _, pool = name.partition(":")
    title = f"{metric.title} ({pool})" if pool else metric.title
    return Score(name, title, value, each, metric.unit, metric.direction, best, rule, reason)


def _per_source(values: Any) -> torch.Tensor:
    """(B, K) values of the single sources, (B, 0) where there are none."""
    values = values[0] if isinstance(values, tuple) else values
    return values if values.ndim == 2 else values.new_zeros(values.shape[0], 0)


def _by_slices(
    metric: Metric,
    pool: str,
    options: dict[str, Any],
    images: Images,
    handed: dict[str, torch.Tensor],
    progress: Progress | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means over the slices, weighted by foreground; slices where the metric is undefined are left out."""
    import torch

    from MedFusionLib.metrics._pooling import pooled

    values, each, weights = [], [], []
    for fraction, chunk, weight in _chunks(images, handed["mask"]):
        if progress:
            progress(fraction, metric.title)
        cut = {name: _slices(x, images.across, chunk) for name, x in handed.items() if x is not None}
        fused, sources = (_slices(x, images.across, chunk) for x in (images.fused, images.sources))
        found = metric.values(fused, sources, **cut, **options)
        values.append(pooled(metric, found, pool))
        each.append(_per_source(found))
        weights.append(weight)
    weight = torch.cat(weights)
    return _mean(torch.cat(values)[:, None], weight)[0], _mean(torch.cat(each), weight)


def _chunks(images: Images, mask: torch.Tensor | None) -> Iterator[tuple[float, torch.Tensor, torch.Tensor]]:
    """Share done, indices of slices to score at once, their weights."""
    import torch

    axis = 2 + images.across
    count = images.fused.shape[axis]
    size = images.fused.numel() // count
    weight = images.fused.new_full((count,), size)
    if mask is not None:
        weight = mask.movedim(axis, 0).flatten(1).sum(1).to(weight)
    kept = (weight >= _FEWEST * size).nonzero().flatten()
    if not kept.numel():
        raise DataError("Scores of slices", found="less than 1 % of each in the mask", accepted="one slice with more")
    for chunk in torch.split(kept, max(1, _CHUNK // size)):
        yield float(chunk[0]) / count, chunk, weight[chunk]


def _slices(x: torch.Tensor, across: int, chunk: torch.Tensor) -> torch.Tensor:
    """(1, C, D, H, W) to (B, C, h, w)."""
    return x.index_select(2 + across, chunk).movedim(2 + across, 0)[:, 0]


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(C,) weighted means of (B, C) without NaN; NaN where all are."""
    share = weight[:, None] * ~values.isnan()
    return (values.nan_to_num() * share).sum(0) / share.sum(0)


def _guards(images: Images, scores: Sequence[Score]) -> Iterator[str]:
    """What a good panel hides: sentences for the user."""
    known = {score.name: score for score in scores}

    def value(name: str) -> float:
        return known[name].value if name in known else _score(*_one(name), images, None).value

    if value("nabf") > _MOST_ARTIFACTS:
        yield f"Nabf is {value('nabf'):.3f}, above {_MOST_ARTIFACTS}: the fused image has edges that no source has"
    if value("q_sf") > 0:
        yield f"Q_SF is {value('q_sf'):.3f}, above 0: sharper or noisier than the sources"
    if value("viff") > 1:
        yield f"VIFF is {value('viff'):.2f}, above 1: contrast was stretched"
    if _contrast(images) > _MOST_CONTRAST:
        yield f"SD is {_contrast(images):.2f} times that of the strongest source: contrast was stretched"
    each = known["vifp:hm"].per_source
    if each and min(each) < _LEAST_SHARE * max(each):
        yield f"VIFp is {min(each):.2f} of one source and {max(each):.2f} of another: one of them is hardly there"


def _contrast(images: Images) -> float:
    """SD of the fused image over the largest of the sources."""
    sd = find_metric("sd")
    own = [float(sd(x[:, None], x[:, None], images.mask)) for x in (images.fused[:, 0], *images.sources.unbind(1))]
    return own[0] / max(*own[1:], 1e-9)
