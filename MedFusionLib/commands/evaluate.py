"""`medfusion evaluate`: a fused volume scored against the volumes it was made of."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from MedFusionLib.commands._line import (
    loaded,
    one_each,
    progress_bar,
    takes_transforms,
    takes_windows,
    transforms,
    window,
)
from MedFusionLib.errors import GeometryError
from MedFusionLib.files.formats import PICTURES, suffix_of

if TYPE_CHECKING:
    from MedFusionLib.scores import Evaluation
    from MedFusionLib.volume import Volume


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add("fused", type=Path, metavar="FUSED", help="the fused volume: [0, 1] as MedFusion saves it, or an 8-bit picture")
    add("inputs", nargs="+", type=Path, metavar="VOLUME", help="the volumes it was made of")
    add("--modality", nargs="+", metavar="M", help="CT, MR, PET, SPECT or OTHER for each volume (DICOM knows its own)")
    add("--window", nargs="+", metavar="LOW,HIGH", help="intensity windows it was made with (`auto` for the default)")
    takes_transforms(parser, "the transforms it was made with")
    add("--color", default="auto", metavar="TABLE", help="color table it was made with")
    add("--metrics", nargs="+", default=["panel"], metavar="NAME", help="panel (default), all, or names as vifp:min")
    add("--mask", default="mask", metavar="FILE", help="score where this volume is not 0; `whole` for the whole image")
    add("--label", type=Path, metavar="FILE", help="a lesion or organ mask: adds the task metrics")
    add("--compat", metavar="NAME", help="cvpr23: score as the published tables of that family")
    add("--device", default="auto", help="auto, cpu, cuda, mps")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--csv", action="store_true", help="print CSV")
    takes_windows(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from MedFusionLib.harmonize import align
    from MedFusionLib.load import load_volume
    from MedFusionLib.pipeline import part
    from MedFusionLib.scores import DOMAINS
    from MedFusionLib.scoring import evaluate, fused_from

    modalities = one_each("--modality", options.modality, len(options.inputs))
    windows = one_each("--window", options.window, len(options.inputs))
    with progress_bar(options.quiet) as progress:
        fused = fused_from(load_volume(options.fused, "OTHER"))
        volumes = list(loaded(options.inputs, modalities, progress))
        _check_pictures([options.fused, *options.inputs], [fused.volume, *volumes])
        aligned = align(
            volumes,
            windows=[window(text) for text in windows],
            color=options.color,
            poses=transforms(options.transform, len(volumes)),
            grid=fused.volume.grid,
            progress=part(progress, 0.2, 0.4),
        )
        evaluation = evaluate(
            fused,
            aligned,
            options.metrics[0] if len(options.metrics) == 1 else options.metrics,
            domain=options.mask if options.mask in DOMAINS else load_volume(options.mask, "OTHER"),
            label=load_volume(options.label, "OTHER") if options.label else None,
            compat=options.compat,
            device=options.device,
            progress=part(progress, 0.4, 1),
        )
    if options.json:
        _print_json(evaluation)
    elif options.csv:
        _print_csv(evaluation)
    else:
        _print_table(evaluation)


def _check_pictures(paths: Sequence[Path], volumes: Sequence[Volume]) -> None:
    """A picture has a size but no place: it can only be compared with pictures of its size."""
    pictures = [suffix_of(path) in PICTURES for path in paths]
    sizes = [volume.grid.shape[:0:-1] for volume in volumes]
    if any(pictures) and (not all(pictures) or len(set(sizes)) > 1):
        found = [f"{path.name} ({w} x {h})" for path, (w, h) in zip(paths, sizes, strict=True)]
        accepted = "pictures of one size, or volumes with a place in space"
        raise GeometryError("Images to compare", found=", ".join(found), accepted=accepted)


def _print_json(evaluation: Evaluation) -> None:
    import json

    # JSON has no NaN.
    rows = [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in evaluation.rows()
    ]
    told = {"domain": evaluation.domain, "sources": evaluation.sources, "warnings": evaluation.warnings}
    print(json.dumps({**told, "scores": rows}, indent=2))


def _print_csv(evaluation: Evaluation) -> None:
    rows = evaluation.rows()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(sys.stdout, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _print_table(evaluation: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "", "value", "worst source", *evaluation.sources, "better", "rule", box=None)
    for column in table.columns[2 : 4 + len(evaluation.sources)]:
        column.justify = "right"
    for score in evaluation.scores:
        each = [_number(value) for value in score.per_source] or [""] * len(evaluation.sources)
        worst = _number(score.worst_source) if score.per_source else ""
        value = f"{_number(score.value)} {score.unit}".rstrip()
        table.add_row(score.name, score.title, value, worst, *each, score.direction, score.rule)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(table)
    print(f"Scored on harmonized values in [0, 1], over {evaluation.domain}.")
    for score in evaluation.scores:
        if score.reason:
            print(f"{score.name}: {score.reason}")
    for warning in evaluation.warnings:
        print(f"Warning: {warning}.")


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"
