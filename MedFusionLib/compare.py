"""Several methods on the same volumes, side by side: fused, scored, ranked, and one labeled picture of all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from MedFusionLib._panels import Column, composed, gray, stacked
from MedFusionLib._views import center_of, cut, planes_of
from MedFusionLib.benchmark.ranks import mean_ranks
from MedFusionLib.errors import Cancelled, DataError, MedFusionError
from MedFusionLib.pipeline import AUTOMATIC, check_choices, fuse_aligned, part
from MedFusionLib.scores import Evaluation
from MedFusionLib.scoring import evaluate
from MedFusionLib.slabs import Progress
from MedFusionLib.volume import LEVELS, Aligned, Fused

if TYPE_CHECKING:
    from PIL import Image

_ABREAST = 5
"""Pictures in a row."""

_FUSE_SHARE = 0.7
"""Of a method's part of the progress bar, what fusing takes; the rest is scoring."""


@dataclass(frozen=True, eq=False)
class Compared:
    """What one method gave.

    Args:
        method: its name.
        title: for people.
        fused: the result; None if there is none.
        evaluation: its scores; None likewise.
        seconds: that fusing took.
        mean_rank: of its place among the methods, as in the benchmark (1 is best); NaN if it has no scores.
        error: why there is no result.
    """

    method: str
    title: str
    fused: Fused | None
    evaluation: Evaluation | None
    seconds: float
    mean_rank: float = math.nan
    error: MedFusionError | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Results of several methods on the same volumes, in the order they were asked for."""

    aligned: Aligned
    results: tuple[Compared, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One flat row a method, the best mean rank first."""
        ordered = sorted(self.results, key=lambda each: (math.isnan(each.mean_rank), each.mean_rank))
        return [
            {
                "method": each.method,
                "title": each.title,
                "mean_rank": each.mean_rank,
                "seconds": each.seconds,
                **{score.name: score.value for score in (each.evaluation.scores if each.evaluation else ())},
                "note": str(each.error or ""),
            }
            for each in ordered
        ]

    def picture(self) -> Image.Image:
        """The sources and every result in one plane, five abreast, with mean rank and seconds: RGB on black."""
        grid, center = self.aligned.grid, center_of(self.aligned)
        plane = planes_of(grid)[0]
        placed = any(window.unit != LEVELS for window in self.aligned.windows)

        def through(array: np.ndarray) -> np.ndarray:
            return cut(array, grid, plane, center)

        columns = [*self._source_columns(), *(_column(each, each.fused) for each in self.results if each.fused)]
        rows = [columns[first : first + _ABREAST] for first in range(0, len(columns), _ABREAST)]
        strips = [composed(row, lambda _plane: through, grid, [plane], center, placed=placed) for row in rows]
        return stacked(strips)

    def _source_columns(self) -> list[Column]:
        return [Column((volume.modality, volume.name), _painter(volume.array)) for volume in self.aligned.volumes]


def compare(
    aligned: Aligned,
    methods: Sequence[str],
    *,
    metrics: str | Sequence[str] = "panel",
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    device: str = AUTOMATIC,
    progress: Progress | None = None,
) -> Comparison:
    """Fuse with each method and score each result.

    Args:
        aligned: the sources, whole or one slice (`preview.slice_of`).
        methods: two or more names of `list_methods()`.
        metrics: as `evaluate` takes them.
        parameters: of the methods, by their name; defaults for the rest.
        device: as in `fuse`.
        progress: as in `fuse`.

    Returns:
        The results. A method that cannot take these volumes has its error there, and the others go on.

    Raises:
        DataError: if there are fewer than two methods, or one twice.
        UnknownNameError, ParameterError: as in `fuse` and `evaluate`, before any work starts.
    """
    if len(methods) < 2 or len(set(methods)) < len(methods):
        raise DataError("Methods to compare", found=list(methods), accepted="two or more different ones")
    given = parameters or {}
    entries = [check_choices(name, given.get(name), AUTOMATIC, device)[0] for name in methods]
    results = []
    for number, (name, entry) in enumerate(zip(methods, entries, strict=True)):
        share = part(progress, number / len(methods), (number + 1) / len(methods))
        fused, evaluation, seconds, error = None, None, 0.0, None
        try:
            start = perf_counter()
            fused = fuse_aligned(
                aligned,
                method=name,
                parameters=given.get(name),
                device=device,
                progress=_titled(part(share, 0, _FUSE_SHARE), entry.title),
            )
            seconds = perf_counter() - start
            evaluation = evaluate(
                fused, aligned, metrics, device=device, progress=_titled(part(share, _FUSE_SHARE, 1), entry.title)
            )
        except Cancelled:
            raise
        except MedFusionError as refused:
            error = refused
        results.append(Compared(name, entry.title, fused, evaluation, seconds, error=error))
    return Comparison(aligned, _ranked(results))


def _titled(progress: Progress | None, title: str) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction, message: progress(fraction, f"{title}: {message}")


def _ranked(results: Sequence[Compared]) -> tuple[Compared, ...]:
    """The results with their mean ranks."""
    scored = [each.evaluation for each in results if each.evaluation]
    if not scored:
        return tuple(results)
    names = [score.name for score in scored[0].scores]
    means = iter(mean_ranks(np.array([[score.value for score in each.scores] for each in scored]), names))
    return tuple(replace(each, mean_rank=float(next(means))) if each.evaluation else each for each in results)


def _column(each: Compared, fused: Fused) -> Column:
    place = f"mean rank {each.mean_rank:.1f}, " if not math.isnan(each.mean_rank) else ""
    return Column((each.title, f"{place}{each.seconds:.2g} s"), _painter(fused.shown.array))


def _painter(array: np.ndarray) -> Callable[[Any], np.ndarray]:
    """How to show an array, gray or RGB, that a slice is cut through."""

    def paint(through: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        picture = through(array)
        return gray(picture) if picture.ndim == 2 else picture / np.float32(255)

    return paint
