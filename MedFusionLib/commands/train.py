"""`medfusion train`: make a model again, or one of your own data."""

from __future__ import annotations

import argparse
from pathlib import Path

from MedFusionLib.commands._line import print_paths, progress_bar
from MedFusionLib.errors import UnknownNameError


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add("model", help="see `medfusion models`")
    add("--data", type=Path, required=True, metavar="DIR", help="[SET/]MODALITY/ID.png pictures, or a folder a patient")
    add("-o", "--output", type=Path, metavar="DIR", help="for weights, card and curve (default: trained/MODEL)")
    add("--then", type=Path, nargs="+", default=(), metavar="DIR", help="further tasks, learned one after the other")
    add("--consolidation", type=float, metavar="X", help="hold what was learned (default: the recipe's; 0 forgets)")
    add("--features", default="feature_network", help="for losses that compare features: feature_network, vgg16")
    add("--minutes", type=float, metavar="N", help="end after so many, whatever the recipe says")
    add("--device", default="auto", help="auto, cpu, cuda, mps")
    add("--from", dest="start", metavar="MODEL", help="begin with the weights of a model: its name or folder")
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    from MedFusionLib.device import find_device
    from MedFusionLib.training.curves import PICTURE
    from MedFusionLib.training.loop import CURVE
    from MedFusionLib.training.recipe import recipes
    from MedFusionLib.training.remake import remake

    known = recipes()
    if options.model not in known:
        raise UnknownNameError("Model to train", found=repr(options.model), accepted=", ".join(known))
    out = options.output or Path("trained") / options.model
    with progress_bar(options.quiet) as progress:
        model = remake(
            known[options.model],
            options.data,
            out,
            then=options.then,
            consolidation=options.consolidation,
            features=options.features,
            minutes=options.minutes,
            device=str(find_device(options.device)),
            start=options.start,
            progress=progress,
        )
    print_paths([model.folder, *out.glob(CURVE), *out.glob(PICTURE)], options.quiet)
