"""What scoring returns: one `Score` a metric, an `Evaluation` of them for a fused volume."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

MASK, WHOLE = "mask", "whole"
DOMAINS = (MASK, WHOLE)
"""Where to score: the foreground, or everywhere."""


@dataclass(frozen=True)
class Score:
    """One metric's result.

    Args:
        name: the metric, with the pooling after a colon where it is not the metric's own ("vifp:hm"); a column's name
            in a published convention.
        title: for people.
        value: the score; NaN where the metric is undefined, then `reason` says why.
        per_source: the values of the single sources, in their order; empty where the metric has none.
        unit: of the value.
        direction: "up" or "down" is better, "zero" nearer to 0, "none" only describes.
        best: its value if all images are the same, NaN where that depends on the image.
        rule: "image", "volume" (in 3-D) or "slices" (mean over slices, weighted by foreground).
        reason: why the value is NaN.
    """

    name: str
    title: str
    value: float
    per_source: tuple[float, ...]
    unit: str
    direction: str
    best: float
    rule: str
    reason: str = ""

    @property
    def worst_source(self) -> float:
        """What the source that fares worst has: the smallest value (largest if down is better); NaN if none."""
        known = [value for value in self.per_source if not math.isnan(value)]
        return (max if self.direction == "down" else min)(known, default=math.nan)

    @property
    def normalized(self) -> float:
        """The score between fixed anchors, 0 = blank image and 1 = identical images; NaN where there are none."""
        if self.direction != "up" or math.isnan(self.best) or math.isnan(self.value):
            return math.nan
        return min(1.0, max(0.0, self.value / self.best))


@dataclass(frozen=True)
class Evaluation:
    """Scores of one fused volume.

    Args:
        scores: in the order asked for.
        sources: what the per-source values belong to.
        warnings: what the guards found: sentences.
        domain: where was scored, in words.
    """

    scores: tuple[Score, ...]
    sources: tuple[str, ...]
    warnings: tuple[str, ...]
    domain: str

    def __getitem__(self, name: str) -> Score:
        """The score of this name (KeyError)."""
        return next(score for score in self.scores if score.name == name)

    def rows(self) -> list[dict[str, Any]]:
        """One flat row a score, for tables and files."""
        return [
            {
                "metric": score.name,
                "title": score.title,
                "value": score.value,
                "worst_source": score.worst_source,
                **dict(zip((f"source_{n + 1}" for n in range(len(self.sources))), score.per_source, strict=False)),
                "unit": score.unit,
                "better": score.direction,
                "rule": score.rule,
                "note": score.reason,
            }
            for score in self.scores
        ]
