"""The page's forms, described as plain data from what the registry knows: no method has code of its own here."""

from __future__ import annotations

from typing import Any

from MedFusionLib.params import Choice, Parameter
from MedFusionLib.registry import FAMILIES, find_method, list_methods

_MANY_DECADES = 1e4
"""A slider has no room for a range like this: its steps would cut the small values off."""


def method_items() -> list[dict[str, Any]]:
    """The fusion methods for a menu, by family."""
    items: list[dict[str, Any]] = []
    for family in FAMILIES:
        methods = [method for method in list_methods().values() if method.family == family]
        if methods:
            items.append({"type": "subheader", "title": family.capitalize(), "value": family})
        items += [{"value": method.name, "title": method.title, "summary": method.summary} for method in methods]
    return items


def method_facts(name: str) -> dict[str, str]:
    """What to say about a method below its name."""
    method = find_method(name)
    return {"summary": method.summary, "reference": method.reference}


def fields_of(name: str) -> list[dict[str, Any]]:
    """A field for each parameter of a method."""
    return [_field(parameter) for parameter in find_method(name).parameters.values()]


def defaults_of(name: str) -> dict[str, Any]:
    """The parameters of a method, at their defaults."""
    return {parameter.name: parameter.default for parameter in find_method(name).parameters.values()}


def _field(parameter: Parameter) -> dict[str, Any]:
    field: dict[str, Any] = {
        "name": parameter.name,
        "label": parameter.name.replace("_", " ").capitalize(),
        "help": parameter.help,
        "accepted": parameter.accepted,
        "kind": "text",
    }
    bounds = parameter.bounds
    if parameter.kind is bool:
        field["kind"] = "switch"
    elif isinstance(bounds, Choice):
        field |= {"kind": "choice", "options": list(bounds.options)}
    elif bounds is not None and not (bounds.low > 0 and bounds.high / bounds.low >= _MANY_DECADES):
        step = 1 if parameter.kind is int else float(f"{(bounds.high - bounds.low) / 200:.0e}")
        field |= {"kind": "number", "low": bounds.low, "high": bounds.high, "step": step, "unit": bounds.unit}
    return field
