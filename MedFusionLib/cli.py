"""The terminal: `medfusion fuse`, `methods`, `demo`. Thin: it reads the line, and calls what a script can call.

Exit codes: 0 done, 2 a mistake of the user's (one clear line), 1 a failure (one line; `--debug` shows the trace).
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from MedFusionLib import __version__
from MedFusionLib.errors import FileError, InputError, MedFusionError, ParameterError
from MedFusionLib.registry import find_method, list_methods

if TYPE_CHECKING:
    from MedFusionLib.slabs import Progress
    from MedFusionLib.volume import Volume


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="medfusion: %(message)s", level=logging.ERROR if options.quiet else logging.WARNING)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("medfusion: stopped", file=sys.stderr)
        return 1
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        print(f"medfusion: {_one_line(error)}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (
        text if isinstance(error, MedFusionError) else f"unexpected {type(error).__name__}: {text} (--debug tells more)"
    )


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line, not the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"medfusion: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("medfusion", description="Fuse CT, MRI, PET and SPECT volumes of one patient.")
    parser.add_argument("--version", action="version", version=f"medfusion {__version__}")
    common = _Parser(add_help=False)
    common.add_argument("--quiet", action="store_true", help="no progress, no notes")
    common.add_argument("--debug", action="store_true", help="show the full trace of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fuse(commands.add_parser("fuse", parents=[common], help="fuse two or more volumes into one"))
    listing = commands.add_parser(
        "methods", parents=[common], help="list the fusion methods, or one with its parameters"
    )
    listing.add_argument("name", nargs="?", help="a method")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(run=_methods)
    demo = commands.add_parser("demo", parents=[common], help="fuse a synthetic head in four combinations")
    demo.add_argument("-o", "--output", type=Path, default=Path("demo"), metavar="DIR", help="folder (default: demo)")
    demo.set_defaults(run=_demo)
    return parser


def _add_fuse(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="VOLUME", help="NIfTI, NRRD, MetaImage, DICOM folder, PNG, JPEG, TIFF")
    add("-o", "--output", type=Path, required=True, help="the fused volume; its ending says the format")
    add("--modality", nargs="+", metavar="M", help="CT, MR, PET, SPECT or OTHER for each volume (DICOM knows its own)")
    add("--method", default="laplacian", help="see `medfusion methods` (default: laplacian)")
    add("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="parameters of the method")
    add("--reference", type=int, default=1, metavar="N", help="the volume whose grid is taken, 1 = the first (default)")
    add("--spacing", nargs="+", metavar="MM", help="one or three numbers, or `finest` (default: the reference's)")
    add("--window", nargs="+", metavar="LOW,HIGH", help="intensity window for each volume, `auto` keeps the default")
    add("--interpolation", help="linear, bspline or nearest (default: bspline for PET and SPECT, linear for the rest)")
    add("--color", default="auto", metavar="TABLE", help="color table for PET/SPECT: hot, pet-heat …; `none` for gray")
    add("--plane", default="auto", help="auto, volume (3-D), axial, coronal, sagittal, or all (these three averaged)")
    add("--device", default="auto", help="auto, cpu, cuda, mps")
    add("--story", type=Path, metavar="JSON", help="write how the result was made")
    add("--montage", type=Path, metavar="PNG", help="write one picture of sources and result")
    # argparse takes "-450,1050" for an option; its own test for negative numbers knows no comma.
    parser._negative_number_matcher = re.compile(r"^-[\d.][\d.,eE+-]*$")
    parser.set_defaults(run=_fuse)


def _fuse(options: argparse.Namespace) -> None:
    from MedFusionLib.harmonize import align
    from MedFusionLib.pipeline import check_choices, fuse_aligned, part
    from MedFusionLib.present import montage, save_png
    from MedFusionLib.save import save_json, save_volume

    parameters = _pairs(options.set)
    check_choices(options.method, parameters, options.plane, options.device)
    _check_outputs(options)
    modalities = _one_each("--modality", options.modality, len(options.inputs))
    windows = _one_each("--window", options.window, len(options.inputs))
    with _progress(options.quiet) as progress:
        volumes = list(_loaded(options.inputs, modalities, progress))
        aligned = align(
            volumes,
            reference=options.reference - 1,
            spacing=_spacing(options.spacing),
            windows=[_window(text) for text in windows],
            color=options.color,
            interpolation=options.interpolation,
            progress=part(progress, 0.2, 0.5),
        )
        fused = fuse_aligned(
            aligned,
            method=options.method,
            parameters=parameters,
            plane=options.plane,
            device=options.device,
            progress=part(progress, 0.5, 1),
        )
    written = [save_volume(fused.shown, options.output)]
    if options.story:
        written.append(save_json(fused.story, options.story))
    if options.montage:
        written.append(save_png(montage(aligned, fused), options.montage))
    _print_paths(written, options.quiet)


def _check_outputs(options: argparse.Namespace) -> None:
    """See, before the work, that every output has a place of its own: none is an input or another output."""
    from MedFusionLib.save import check_folder, check_target

    check_target(options.output)
    if options.montage and options.montage.suffix.lower() != ".png":
        raise FileError("--montage", found=str(options.montage), accepted="a name that ends in .png")
    taken = {path.resolve() for path in options.inputs}
    for path in filter(None, (options.output, options.story, options.montage)):
        if path.resolve() in taken:
            raise FileError(f"Output {path}", found="an input or another output", fix="Choose another name")
        taken.add(path.resolve())
        check_folder(path)


def _loaded(paths: Sequence[Path], modalities: Sequence[str | None], progress: Progress | None) -> Iterator[Volume]:
    from MedFusionLib.load import load_volume

    for number, (path, modality) in enumerate(zip(paths, modalities, strict=True)):
        if progress:
            progress(0.2 * number / len(paths), f"Loading volume {number + 1} of {len(paths)}")
        yield load_volume(path, modality)


def _one_each(flag: str, given: Sequence[str] | None, count: int) -> Sequence[str | None]:
    if given is not None and len(given) != count:
        raise ParameterError(
            flag, found=f"{len(given)} ({' '.join(given)})", accepted=f"one for each of {count} volumes"
        )
    return given or [None] * count


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise ParameterError("--set", found=repr(text), accepted="NAME=VALUE, for example levels=5")
    pairs = [text.split("=", 1) for text in texts]
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ParameterError("--set", found=f"{twice[0]} twice", accepted="each parameter once")
    return {name: value for name, value in pairs}


def _spacing(texts: Sequence[str] | None) -> Any:
    if texts is None or texts == ["finest"]:
        return texts and "finest"
    numbers = _numbers("--spacing", texts, "one or three numbers of mm, or finest")
    return numbers[0] if len(numbers) == 1 else numbers


def _window(text: str | None) -> list[float] | None:
    return None if text in (None, "auto") else _numbers("--window", str(text).split(","), "LOW,HIGH or auto")


def _numbers(flag: str, texts: Sequence[str], accepted: str) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise ParameterError(flag, found=repr(" ".join(texts)), accepted=accepted) from None


def _methods(options: argparse.Namespace) -> None:
    import json

    chosen = {options.name: find_method(options.name)} if options.name else list_methods()
    facts = [_facts(entry) for entry in chosen.values()]
    if options.json:
        print(json.dumps(facts[0] if options.name else facts, indent=2))
        return
    for entry in facts:
        print(f"{entry['name']:<12} {entry['summary']}")
        if options.name:
            print(f"{'':<12} {entry['title']}, {entry['family']}; {entry['reference']}")
            for parameter in entry["parameters"]:
                print(f"  {parameter['name']} = {parameter['default']}  ({parameter['accepted']})  {parameter['help']}")


def _facts(entry: Any) -> dict[str, Any]:
    """What there is to know about a method, for people and programs."""
    parameters = [
        {"name": p.name, "type": p.kind.__name__, "default": p.default, "accepted": p.accepted, "help": p.help}
        for p in entry.parameters.values()
    ]
    shown = ("name", "title", "summary", "family", "dims", "sources", "modalities", "reference")
    return {**{name: getattr(entry, name) for name in shown}, "parameters": parameters}


def _demo(options: argparse.Namespace) -> None:
    from MedFusionLib.demo import run_demo

    with _progress(options.quiet) as progress:
        written = run_demo(options.output, progress)
    _print_paths(written, options.quiet)


def _print_paths(paths: Sequence[Path], quiet: bool) -> None:
    if not quiet:
        print("\n".join(map(str, paths)))


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:
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


if __name__ == "__main__":
    sys.exit(main())
