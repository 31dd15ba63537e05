"""`medfusion import-weights`: run a learned method with the weights that its authors published."""

from __future__ import annotations

import argparse
from pathlib import Path

from MedFusionLib.commands._line import print_paths


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add("method", help="ifcnn or u2fusion")
    add("file", type=Path, metavar="FILE", help="the authors' PyTorch file; it is read without running anything in it")
    add("-o", "--output", type=Path, metavar="DIR", help="the model's folder (default: published/METHOD)")
    parser.set_defaults(run=_import)


def _import(options: argparse.Namespace) -> None:
    from MedFusionLib.networks.published import import_weights

    out = options.output or Path("published") / options.method
    print_paths([import_weights(options.method, options.file, out).folder], options.quiet)
