"""Pictures of how losses fell, from the tables that a training leaves."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from MedFusionLib.errors import DependencyError, FileError
from MedFusionLib.training.loop import CURVE

PICTURE = "curve.png"

_ABREAST = 4


def draw(folders: Sequence[Path], path: Path) -> Path:
    """One picture of the training and validation losses in these folders, four abreast.

    Raises:
        FileError: if no folder is given, or one without a table of losses.
        DependencyError: if matplotlib is not installed.
    """
    missing = [str(folder) for folder in folders if not (folder / CURVE).is_file()]
    if missing or not folders:
        raise FileError("Picture of the losses", found=", ".join(missing) or "no folder", accepted=f"ones with {CURVE}")
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
        losses = {column: [float(point[column]) for point in points] for column in ("training", "validation")}
        for column, values in losses.items():
            axes.plot(steps, values, label=column)
        # A loss made of a metric may be negative.
        positive = all(value > 0 for values in losses.values() for value in values)
        axes.set(title=folder.name, xlabel="step", ylabel="loss", yscale="log" if positive else "linear")
        axes.legend()
    for axes in places:
        axes.set_axis_off()
    figure.savefig(path)
    return path
