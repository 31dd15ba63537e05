"""What becomes of a result in a scene: made again, compared, charted. Main thread only, like `mrml`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from MedFusionLib._mrml_tables import filled_table
from MedFusionLib.errors import DataError, InputError
from MedFusionLib.mrml import SOURCE, STORY
from MedFusionLib.scoring import PANEL

if TYPE_CHECKING:
    from MedFusionLib.compare import Comparison

_COLORS = (
    (0.90, 0.60, 0.0),
    (0.34, 0.71, 0.91),
    (0.0, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.84, 0.37, 0.0),
    (0.8, 0.47, 0.65),
)
"""Told apart by color-blind people too (Okabe and Ito)."""


@dataclass(frozen=True)
class Recipe:
    """How a result is made again.

    Args:
        nodes: its sources.
        choices: keyword arguments of `fuse` besides the volumes.
        modalities: of the nodes.
        sha256: of the sources' voxels and places, when it was made.
    """

    nodes: tuple[Any, ...]
    choices: dict[str, Any]
    modalities: tuple[str, ...]
    sha256: tuple[str, ...]


def recipe_of(node: Any) -> Recipe:
    """What to give `fuse` to get a result's voxels again.

    Args:
        node: a result, of this scene or a loaded one.

    Raises:
        DataError: if the node is no result, or holds no plan.
        InputError: if a source has left the scene.
    """
    story = json.loads((node and node.GetAttribute(STORY)) or "{}")
    if not {"plan", "method", "sources"} <= story.keys():
        raise DataError(
            f"Result {node.GetName() if node else ''}".strip(),
            found="no story of how it was made",
            accepted="a volume that MedFusion fused",
        )
    nodes = [node.GetNthNodeReference(SOURCE, number) for number in range(node.GetNumberOfNodeReferences(SOURCE))]
    if len(nodes) != len(story["sources"]) or None in nodes:
        raise InputError(
            f"Sources of {node.GetName()}",
            found=f"{sum(each is not None for each in nodes)} in the scene",
            accepted=", ".join(source["name"] or source["modality"] for source in story["sources"]),
            fix="Load the source volumes again and fuse them anew",
        )
    choices = {"method": story["method"], "parameters": story["parameters"], **story["plan"]}
    told = story["sources"]
    return Recipe(
        tuple(nodes),
        choices,
        tuple(source["modality"] for source in told),
        tuple(source["sha256"] for source in told),
    )


def add_comparison(scene: Any, comparison: Comparison, name: str = "Comparison", node: Any = None) -> Any:
    """Put a comparison into the scene as a table, a row a method, the best first; returns its node.

    Args:
        scene: the scene to add to.
        comparison: what `compare` returned.
        name: of a new node.
        node: an existing vtkMRMLTableNode to fill instead.
    """
    rows = comparison.rows()
    scored = next((each.evaluation for each in comparison.results if each.evaluation), None)
    metrics = [score.name for score in scored.scores] if scored else []
    columns = ["method", "title", "mean_rank", "seconds", *metrics, "note"]
    return filled_table(scene, name, node, columns, rows, text=("method", "title", "note"))


def add_score_chart(
    scene: Any, tables: Sequence[Any], name: str = "Scores", metrics: Sequence[str] | None = None
) -> Any:
    """Put scores into the scene as bars: the metrics abreast, a color for each result; returns the chart's node.

    Args:
        scene: the scene to add to.
        tables: table nodes that `mrml.add_scores` made, one a result.
        name: of the chart and its table.
        metrics: rows to show; by default those of the panel that every table has.

    Raises:
        DataError: if there is no table, or none of the metrics is in all of them.
    """
    known = [_values(table) for table in tables]
    wanted = [metric for metric in (metrics or PANEL) if known and all(metric in each for each in known)]
    if not wanted:
        raise DataError("Scores to plot", found=f"{len(known)} tables", accepted="tables that share a metric")
    names = [table.GetName() for table in tables]
    rows = [{"metric": metric, **dict(zip(names, (each[metric] for each in known), strict=True))} for metric in wanted]
    shown = filled_table(scene, f"{name} of results", None, ["metric", *names], rows, text=("metric",))
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", scene.GenerateUniqueName(name))
    for number, column in enumerate(names):
        chart.AddAndObservePlotSeriesNodeID(_bars(scene, shown, column, _COLORS[number % len(_COLORS)]).GetID())
    chart.SetTitle(name)
    chart.SetYAxisTitle("score")
    chart.SetLegendVisibility(True)
    return chart


def _bars(scene: Any, table: Any, column: str, color: tuple[float, float, float]) -> Any:
    series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", scene.GenerateUniqueName(column))
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetYColumnName(column)
    series.SetLabelColumnName("metric")
    series.SetPlotType(series.PlotTypeBar)
    series.SetColor(*color)
    return series


def _values(table: Any) -> dict[str, float]:
    """The finite values of a table of scores, by metric."""
    columns = [table.GetTable().GetColumnByName(name) for name in ("metric", "value")]
    if None in columns:
        raise DataError(f"Table {table.GetName()}", found="no metrics and values", accepted="a table of scores")
    pairs = {columns[0].GetValue(n): columns[1].GetValue(n) for n in range(table.GetNumberOfRows())}
    return {metric: value for metric, value in pairs.items() if math.isfinite(value)}
