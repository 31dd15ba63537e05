"""One result on one HTML page that needs nothing else: pictures, registration, scores, and how it was made."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from MedFusionLib.errors import DependencyError
from MedFusionLib.matching import registration_picture
from MedFusionLib.present import montage
from MedFusionLib.scores import Evaluation
from MedFusionLib.volume import Aligned, Fused, Volume

if TYPE_CHECKING:
    from PIL import Image

_FIGURES = {
    "nmi_before": ("shared information before", "", "normalized mutual information - 1: 0 nothing, 1 all"),
    "nmi_after": ("shared information after", "", "the same at the pose found"),
    "overlap": ("overlap", "", "share of the reference inside the volume's field of view"),
    "inverse_mm": ("inverse consistency", "mm", "distance from the inverse of the registration with roles exchanged"),
    "displacement_mm": ("largest displacement", "mm", "in the shared field of view"),
    "bend_mm": ("of it bent", "mm", "what is not affine"),
    "folding": ("folding", "", "share of space turned inside out"),
    "seconds": ("time", "s", ""),
}
"""What is shown of a registration's quality: its words, unit and meaning."""

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1500px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; font-size: 13px }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid #ddd } th { background: #f3f3f3 }
th:first-child, td:first-child { text-align: left } img { max-width: 100%; display: block; background: #000 }
.note { background: #fff4d6; border-left: 4px solid #d99a00; padding: .4em .8em; margin: .4em 0 }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto } small { color: #666 }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ method }}{% if parameters %} with {{ parameters }}{% endif %}. MedFusion {{ version }}. Not for diagnosis.</p>
{% for note in notes %}<p class="note">{{ note }}</p>{% endfor %}
<img alt="Sources, overlay and result" src="{{ montage }}">
{% if matching %}<h2>Registration</h2>
<table><tr><th></th>{% for name in moved %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in figures %}<tr><td>{{ row.title }} <small>{{ row.meaning }}</small></td>
{% for value in row.cells %}<td>{{ value }}</td>{% endfor %}</tr>{% endfor %}</table>
<img alt="Checkerboard, edges and difference, before and after" src="{{ matching }}">{% endif %}
{% if scores %}<h2>Scores</h2><p>Over {{ domain }}. Harmonized values in [0, 1].</p>
{% for warning in warnings %}<p class="note">{{ warning }}.</p>{% endfor %}
<table><tr><th>metric</th><th>value</th>{% for name in sources %}<th>{{ name }}</th>{% endfor %}<th>better</th></tr>
{% for row in scores %}<tr><td>{{ row.title }} <small>{{ row.name }}</small></td><td>{{ row.value }}</td>
{% for value in row.each %}<td>{{ value }}</td>{% endfor %}<td>{{ row.better }}</td></tr>{% endfor %}</table>{% endif %}
<h2>How it was made</h2>
<details><summary>The whole story</summary><pre>{{ story }}</pre></details>
</body></html>
"""


def require_report() -> None:
    """See that pages can be made.

    Raises:
        DependencyError: if jinja2 is not installed.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "Report", found="jinja2 is not installed", fix='Install it: pip install "medfusion[report]"'
        ) from error


def report(volumes: Sequence[Volume], aligned: Aligned, fused: Fused, evaluation: Evaluation | None = None) -> str:
    """The page of a result.

    Args:
        volumes: the sources as they were given.
        aligned: what became of them; where they were moved, pictures and figures before and after are shown.
        fused: the result.
        evaluation: its scores, if they are wanted.

    Raises:
        DependencyError: if jinja2 is not installed.
        GeometryError: as `present.montage`.
    """
    require_report()
    from jinja2 import Environment

    story = fused.story
    moved = any(pose is not None for pose in aligned.poses)
    told = [(volume.label, each) for volume, each in zip(volumes, story.get("registration", ()), strict=False) if each]
    return (
        Environment(autoescape=True)
        .from_string(_TEMPLATE)
        .render(
            title=" + ".join(volume.label for volume in volumes),
            method=story.get("method", ""),
            parameters=", ".join(f"{name}={value}" for name, value in story.get("parameters", {}).items()),
            version=story.get("medfusion", ""),
            notes=story.get("notes", ()),
            montage=_embedded(montage(aligned, fused)),
            matching=_embedded(registration_picture(volumes, aligned)) if moved else "",
            moved=[name for name, _ in told],
            figures=list(_figures([each for _, each in told])),
            scores=list(_scores(evaluation)) if evaluation else [],
            sources=evaluation.sources if evaluation else (),
            warnings=evaluation.warnings if evaluation else (),
            domain=evaluation.domain if evaluation else "",
            story=json.dumps(story, indent=1, default=str),
        )
    )


def _figures(told: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row for each figure of the registrations."""
    for name, (title, unit, meaning) in _FIGURES.items():
        if told:
            yield {"title": title, "meaning": meaning, "cells": [_number(each[name], unit) for each in told]}


def _scores(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    for score in evaluation.scores:
        each = score.per_source or (math.nan,) * len(evaluation.sources)
        yield {
            "title": score.title,
            "name": score.name,
            "value": _number(score.value, score.unit),
            "each": [_number(value) for value in each],
            "better": score.direction,
        }


def _number(value: float | None, unit: str = "") -> str:
    """Four digits; nothing for what there is none of."""
    return "" if value is None or math.isnan(value) else f"{value:.4g} {unit}".rstrip()


def _embedded(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
