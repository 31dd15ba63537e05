"""Pictures of a benchmark, as PNG or JPEG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from MedFusionLib.benchmark.groups import Group
from MedFusionLib.benchmark.ranks import Ranking
from MedFusionLib.scoring import metric_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

_COLORS = {"method": "#4477aa", "trivial": "#bbbbbb", "published": "#cc6677"}


def box_plots(group: Group, metrics: Sequence[str]) -> bytes:
    """One row of boxes a metric, one box a method: quartiles over cases, every case beyond as a dot."""
    from matplotlib.figure import Figure

    shown = [metric for metric in metrics if metric in group.metrics]
    figure = Figure(figsize=(10, 1.7 * len(shown) + 1.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(shown), 1, sharex=True))
    for axis, metric in zip(axes, shown, strict=True):
        values = group.values[:, :, group.metrics.index(metric)]
        boxes = axis.boxplot([row[~np.isnan(row)] for row in values], patch_artist=True, flierprops={"markersize": 2})
        for box, kind in zip(boxes["boxes"], group.kinds, strict=True):
            box.set_facecolor(_COLORS[kind])
        arrow = {"up": "higher is better", "down": "lower is better", "zero": "0 is best"}
        axis.set_ylabel(f"{metric}\n{arrow.get(metric_of(metric).direction, '')}", fontsize=8)
        axis.grid(axis="y", alpha=0.3)
    axes[-1].set_xticks(range(1, len(group.methods) + 1), group.methods, rotation=45, ha="right", fontsize=8)
    return _png(figure)


def difference_diagram(ranking: Ranking) -> bytes:
    """Mean ranks on a line; a bar joins methods that Nemenyi's test cannot tell apart."""
    import pandas
    from matplotlib.figure import Figure
    from scikit_posthocs import critical_difference_diagram

    figure = Figure(figsize=(10, 0.25 * len(ranking.methods) + 1.5), layout="constrained")
    names = list(ranking.methods)
    ranks = pandas.Series(ranking.mean, index=names)
    pairs = pandas.DataFrame(ranking.nemenyi, index=names, columns=names)
    critical_difference_diagram(ranks, pairs, ax=figure.subplots())
    return _png(figure)


def small_jpeg(picture: Image, width: int = 640) -> bytes:
    """A montage small enough to stand in a report by the dozen."""
    picture = picture.copy()
    picture.thumbnail((width, width))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
