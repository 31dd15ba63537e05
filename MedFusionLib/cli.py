"""The terminal: `medfusion COMMAND`. Thin: each file of `commands/` reads a line, and calls what a script can call.

Exit codes: 0 done, 2 a mistake of the user's (one clear line), 1 a failure (one line; `--debug` shows the trace).
"""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from MedFusionLib import __version__
from MedFusionLib.commands import benchmark, demo, evaluate, fuse, import_weights, methods, metrics, models, train, web
from MedFusionLib.errors import InputError, MedFusionError

COMMANDS = (
    ("fuse", fuse, "fuse two or more volumes into one"),
    ("evaluate", evaluate, "score a fused volume against its sources"),
    ("benchmark", benchmark, "compare methods, and images that others made, over a data set"),
    ("methods", methods, "list the fusion methods, or one with its parameters"),
    ("metrics", metrics, "list the metrics, or one with its facts"),
    ("web", web, "open the browser app"),
    ("models", models, "list the trained models, or show the card of one"),
    ("train", train, "train a model by its recipe, on your own data too"),
    ("import-weights", import_weights, "bring in weights that the authors of a network published"),
    ("demo", demo, "fuse a synthetic head in four combinations"),
)


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
    for name, command, summary in COMMANDS:
        command.add(commands.add_parser(name, parents=[common], help=summary))
    return parser


if __name__ == "__main__":
    sys.exit(main())
