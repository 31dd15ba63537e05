"""`medfusion metrics`: what there is to score with."""

from __future__ import annotations

import argparse
from typing import Any

from MedFusionLib.registry import Metric, find_metric, list_metrics


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("name", nargs="?", help="a metric")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_metrics)


def _metrics(options: argparse.Namespace) -> None:
    import json

    chosen = [find_metric(options.name)] if options.name else list(list_metrics().values())
    facts = [_facts(metric) for metric in chosen]
    if options.json:
        print(json.dumps(facts[0] if options.name else facts, indent=2))
        return
    for entry in facts:
        print(f"{entry['name']:<14} {entry['summary']}")
        if options.name:
            for fact in ("title", "family", "direction", "range", "unit", "identical", "flat", "pool", "gamed_by"):
                print(f"  {fact:<10} {_words(entry[fact])}")
            print(f"  {'reference':<10} {entry['reference']}")


def _facts(metric: Metric) -> dict[str, Any]:
    """What there is to know about a metric, for people and programs."""
    shown = ("name", "title", "summary", "family", "direction", "range", "unit", "identical", "flat", "pool", "dims")
    more = ("smallest", "undefined", "gamed_by", "differentiable", "reference")
    return {name: getattr(metric, name) for name in (*shown, *more)}


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join("any" if part is None else str(part) for part in value) or "none"
    return str(value) or "none"
