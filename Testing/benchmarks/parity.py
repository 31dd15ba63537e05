"""Our methods beside published images of the same methods: `python -m Testing.benchmarks.parity DATA`.

DATA holds slices/peers_outputs and the inputs of each image. Color counts by its luma, as in the papers; the panel
is scored on the inputs' foreground, the difference and the correlation on the whole image.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from MedFusionLib.harmonize import align
from MedFusionLib.load import load_volume
from MedFusionLib.pipeline import fuse_aligned
from MedFusionLib.scoring import PANEL, evaluate, fused_from
from MedFusionLib.volume import Aligned, Fused

OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "NSST-PAPCNN": ("nsst_papcnn", {"ties": "first"}),
    "CSMCA": ("csmca", {"low": "mean", "residual": "dropped"}),
}
"""Of each published method ours, and the options that make it the published one."""


def published(slices: Path) -> Iterator[tuple[str, Aligned, Fused]]:
    """Name, inputs (CT or uptake first, as the authors had them) and published image."""
    for entry in json.loads((slices / "peers_outputs" / "mapping.json").read_text(encoding="utf-8")):
        if entry["method"] in OURS:
            # OTHER is never taken for uptake: what is left of a color image is its luma.
            sources = [load_volume(slices / entry[key], "OTHER") for key in ("src_functional_or_ct", "src_mri")]
            image, aligned = load_volume(slices / entry["file"], "OTHER"), align(sources)
            yield entry["method"], aligned, fused_from(replace(image, grid=aligned.grid))


def rows(name: str, aligned: Aligned, image: Fused) -> Iterator[tuple[str, Fused]]:
    """The published image, our method as published and by default, and the mean."""
    method, options = OURS[name]
    given = ", ".join(f"{option}={value}" for option, value in options.items())
    yield f"*{name}, published*", image
    yield f"{method}, {given}", fuse_aligned(aligned, method=method, parameters=options)
    yield f"{method}, defaults", fuse_aligned(aligned, method=method)
    yield "average", fuse_aligned(aligned, method="average")


def compared(fused: Fused, image: Fused) -> tuple[float, float]:
    """Mean absolute difference in gray levels and correlation of two images rounded to 8 bits."""
    one, other = (np.rint(each.volume.array.astype(np.float64) * 255).ravel() for each in (fused, image))
    return float(np.abs(one - other).mean()), float(np.corrcoef(one, other)[0, 1])


def main(data: Path) -> None:
    """Print the table."""
    print("| inputs | image | difference | correlation | " + " | ".join(PANEL) + " |")
    print("|---" * (4 + len(PANEL)) + "|")
    for name, aligned, image in published(data / "slices"):
        for label, fused in rows(name, aligned, image):
            difference, correlation = compared(fused, image)
            scores = " | ".join(f"{score.value:.3f}" for score in evaluate(fused, aligned, PANEL).scores)
            inputs = aligned.volumes[0].label
            print(f"| {inputs} | {label} | {difference:.2f} | {correlation:.4f} | {scores} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
