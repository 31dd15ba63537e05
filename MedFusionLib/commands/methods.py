"""`medfusion methods`: what there is to fuse with."""

from __future__ import annotations

import argparse
from typing import Any

from MedFusionLib.registry import find_method, list_methods


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("name", nargs="?", help="a method")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_methods)


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
