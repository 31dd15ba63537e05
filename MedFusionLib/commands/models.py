"""`medfusion models`: the trained models that are installed, and where they came from."""

from __future__ import annotations

import argparse
import json

from MedFusionLib.registry import list_methods
from MedFusionLib.weights import find_model, list_models


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("name", nargs="?", help="a model: shows its whole card")
    parser.add_argument("--json", action="store_true", help="the cards, for programs")
    parser.set_defaults(run=_models)


def _models(options: argparse.Namespace) -> None:
    chosen = [find_model(options.name)] if options.name else list_models()
    if options.json or options.name:
        cards = [dict(model.card) for model in chosen]
        print(json.dumps(cards[0] if options.name else cards, indent=2, ensure_ascii=False))
        return
    for model in chosen:
        size = sum(path.stat().st_size for path in model.folder.iterdir()) / 2**20
        users = ", ".join(name for name, method in list_methods().items() if method.model == model.name)
        print(f"{model.name:<28} {size:5.2f} MB  {model.card['title']}{f' (method {users})' if users else ''}")
        print(f"{'':<28} {model.card['recipe']}; {model.card['minutes']} min on {model.card['hardware']}")
