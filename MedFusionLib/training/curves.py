"""Pictures of how losses fell, from the tables that a training leaves."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from MedFusionLib.errors import DependencyError
from MedFusionLib.training.loop import CURVE

PICTURE = "curve.png"

_ABREAST = 4


def draw(folders: Sequence[Path], path: Path) -> Path:
    """One picture of the training and validation losses in these folders, four abreast.

    Raises:
        DependencyError: if matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyError("Picture of the losses", found=error, fix="pip install matplotlib") from error
    columns, rows = min(len(folders), _ABREAST), -(-len(folders) // _ABREAST)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    places = iter(figure.subplots(rows, columns, squeeze=False).flat)
    for folder, axes in zip(folders, places, strict=False):
        with (folder / CURVE).open(encoding="utf-8") as file:
            points = list(csv.DictReader(file))
        steps = [int(point["step"]) for point in points]
        for column in ("training", "validation"):
            axes.plot(steps, [float(point[column]) for point in points], label=column)
        axes.set(title=folder.name, xlabel="step", ylabel="loss", yscale="log")
        axes.legend()
    for axes in places:
        axes.set_axis_off()
    figure.savefig(path)
    return path
