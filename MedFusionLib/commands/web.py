"""`medfusion web`: the browser app."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from MedFusionLib.errors import DependencyError, FileError, ParameterError, RunError


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="FILE", help="volumes to open at the start: files or DICOM folders")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this computer only)")
    add("--port", type=int, default=8080, help="port (default: 8080; 0 takes a free one)")
    add("--limit", type=float, default=2.0, metavar="GB", help="largest upload, also unpacked (default: 2)")
    parser.set_defaults(run=_web)


def _web(options: argparse.Namespace) -> None:
    import asyncio
    from importlib.util import find_spec

    if find_spec("trame_slicer") is None:
        raise DependencyError(
            "The browser app",
            found="trame-slicer is not installed",
            fix='Install it: pip install "medfusion[web]"',
        )
    from MedFusionLib.web.guard import LOOPBACK
    from MedFusionLib.web.server import Settings, serve

    if not 0 < options.limit <= 1000:
        raise ParameterError("--limit", found=options.limit, accepted="GB, more than 0 and up to 1000")
    if not 0 <= options.port < 2**16:
        raise ParameterError("--port", found=options.port, accepted="0 to 65535")
    for path in options.files:
        if not path.exists():
            raise FileError(f"Open {path}", found="no such file or folder", fix="Check the path")
    if options.host not in LOOPBACK:
        print("Everybody who can reach this address can use it: nobody is asked for a password.", file=sys.stderr)
    settings = Settings(options.host, options.port, options.files, int(options.limit * 10**9))
    try:
        asyncio.run(serve(settings, lambda address: print(f"MedFusion runs at {address} (Ctrl+C ends it)", flush=True)))
    except OSError as error:
        raise RunError(
            f"Listen on {options.host}:{options.port}",
            found=error.strerror or str(error),
            fix="Choose another --port, or end the program that has it",
        ) from error
