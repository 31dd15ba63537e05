"""`medfusion benchmark`: methods, and images that others made, compared over a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from MedFusionLib.commands._line import print_paths, progress_bar


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="[SET/]MODALITY/ID.png pictures or CASE/MODALITY*.nii.gz volumes")
    add("--outputs", type=Path, metavar="DIR", help="results that others published, with a mapping.json")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="folder; a run that was stopped goes on there")
    add("--methods", type=_names, metavar="A,B", help="methods (default: all); yardsticks are always added")
    add("--metrics", type=_names, default=["panel"], metavar="A,B", help="panel (default), all, or names as vifp:min")
    add("--split", default="test", help="test (default), train or all, where a splits.json tells them")
    add("--compat", metavar="NAME", help="cvpr23: score as the published tables of that family")
    add("--device", default="auto", help="auto, cpu, cuda, mps")
    add("--jobs", type=int, metavar="N", help="processes at once (default: one a core)")
    parser.set_defaults(run=_benchmark)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _benchmark(options: argparse.Namespace) -> None:
    from MedFusionLib.benchmark.run import run_benchmark

    with progress_bar(options.quiet) as progress:
        written = run_benchmark(
            options.output,
            options.data,
            options.outputs,
            methods=options.methods,
            metrics=options.metrics[0] if len(options.metrics) == 1 else options.metrics,
            split=options.split,
            compat=options.compat,
            device=options.device,
            jobs=options.jobs,
            progress=progress,
        )
    print_paths(written, options.quiet)
