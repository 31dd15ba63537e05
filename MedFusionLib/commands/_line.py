"""What the commands share: volumes and numbers from the line, a progress bar."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from MedFusionLib.errors import ParameterError

if TYPE_CHECKING:
    from MedFusionLib.harmonize.pose import Pose
    from MedFusionLib.slabs import Progress
    from MedFusionLib.volume import Volume


def takes_windows(parser: argparse.ArgumentParser) -> None:
    """Let "-450,1050" be a value: argparse takes it for an option, its own test for negative numbers knows no comma."""
    parser._negative_number_matcher = re.compile(r"^-[\d.][\d.,eE+-]*$")


def takes_transforms(parser: argparse.ArgumentParser, what: str) -> None:
    """The flag `--transform`."""
    parser.add_argument(
        "--transform", nargs="+", metavar="T", help=f"for each volume a file (.tfm, .h5) or `none`: {what}"
    )


def transforms(given: Sequence[str] | None, count: int) -> list[Pose | None] | None:
    """The poses of `--transform`: one for each volume, or for each but the first."""
    if given is None:
        return None
    from MedFusionLib.harmonize.pose import load_pose

    each = one_each("--transform", ["none", *given] if len(given) == count - 1 else given, count)
    return [None if text in (None, "none") else load_pose(str(text)) for text in each]


def loaded(paths: Sequence[Path], modalities: Sequence[str | None], progress: Progress | None) -> Iterator[Volume]:
    from MedFusionLib.load import load_volume

    for number, (path, modality) in enumerate(zip(paths, modalities, strict=True)):
        if progress:
            progress(0.2 * number / len(paths), f"Loading volume {number + 1} of {len(paths)}")
        yield load_volume(path, modality)


def one_each(flag: str, given: Sequence[str] | None, count: int) -> Sequence[str | None]:
    if given is not None and len(given) != count:
        raise ParameterError(
            flag, found=f"{len(given)} ({' '.join(given)})", accepted=f"one for each of {count} volumes"
        )
    return given or [None] * count


def window(text: str | None) -> list[float] | None:
    return None if text in (None, "auto") else numbers("--window", str(text).split(","), "LOW,HIGH or auto")


def numbers(flag: str, texts: Sequence[str], accepted: str) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise ParameterError(flag, found=repr(" ".join(texts)), accepted=accepted) from None


def print_paths(paths: Sequence[Path], quiet: bool) -> None:
    if not quiet:
        print("\n".join(map(str, paths)))


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress | None]:
    """A bar on the error stream, so that what is printed stays clean; none if quiet or if nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Starting", total=1.0)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=message)
