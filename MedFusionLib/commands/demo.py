"""`medfusion demo`: the embedded phantom, fused."""

from __future__ import annotations

import argparse
from pathlib import Path

from MedFusionLib.commands._line import print_paths, progress_bar


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"), metavar="DIR", help="folder (default: demo)")
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    from MedFusionLib.demo import run_demo

    with progress_bar(options.quiet) as progress:
        written = run_demo(options.output, progress)
    print_paths(written, options.quiet)
