"""Parameters of a method, read from its signature: bounds live in the type, help in the docstring.

    def blur(sources, *, sigma: Annotated[float, Range(0.5, 20, unit="voxel")] = 4.0): ...

The terminal, the Slicer panel, the docs and the contract tests are all made from what `parameters_of` returns.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from MedFusionLib.errors import ParameterError

HANDED_OVER = ("modalities", "spacing", "mask", "moments", "progress", "model", "label", "fused_rgb", "source_rgb")
"""Keywords that are filled for a method or metric that names them; they are no parameters of the user."""


@dataclass(frozen=True)
class Range:
    """A number from low to high, both included."""

    low: float
    high: float
    unit: str = ""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (int, float)) and math.isfinite(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()


class Choice:
    """One of the named options."""

    def __init__(self, *options: str):
        self.options = options

    def __contains__(self, value: object) -> bool:
        return value in self.options

    def __str__(self) -> str:
        return ", ".join(self.options)


@dataclass(frozen=True)
class Parameter:
    """One option of a method: its type (int, float, bool or str), default, bounds, and a sentence of help."""

    name: str
    kind: type
    default: Any
    bounds: Range | Choice | None
    help: str

    @property
    def accepted(self) -> str:
        """What may be given, in words."""
        if self.kind is bool:
            return "true or false"
        return f"{self.kind.__name__}, {self.bounds}" if isinstance(self.bounds, Range) else str(self.bounds)

    def checked(self, value: Any) -> Any:
        """The value in its own type, parsed if it is text.

        Raises:
            ParameterError: if it is of another type or outside the bounds.
        """
        try:
            typed = _parsed(self.kind, value) if isinstance(value, str) else _typed(self.kind, value)
        except (TypeError, ValueError, OverflowError):
            typed = None
        if typed is None or (self.bounds is not None and typed not in self.bounds):
            raise ParameterError(f"Parameter {self.name}", found=repr(value), accepted=self.accepted)
        return typed


def _parsed(kind: type, text: str) -> Any:
    if kind is bool:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
    return kind(text)


def _typed(kind: type, value: Any) -> Any:
    if isinstance(value, bool) != (kind is bool):
        return None
    typed = kind(value)
    return typed if typed == value else None


def parameters_of(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The user's parameters of a method, in the order of its signature."""
    hints = get_type_hints(function, include_extras=True)
    help_of = _argument_help(function.__doc__ or "")
    found = {}
    for name, argument in inspect.signature(function).parameters.items():
        if argument.kind is not argument.KEYWORD_ONLY or name in HANDED_OVER:
            continue
        kind, *extras = get_args(hints[name]) if get_origin(hints[name]) is Annotated else (hints[name],)
        bounds = next((extra for extra in extras if isinstance(extra, (Range, Choice))), None)
        found[name] = Parameter(name, kind, argument.default, bounds, help_of.get(name, ""))
    return found


def _argument_help(docstring: str) -> dict[str, str]:
    """The sentences of a Google-style `Args:` section, by argument."""
    section = re.search(r"\n\s*Args:\n(.*?)(?:\n\s*\n|\n\s*[A-Z]\w+:\n|\Z)", docstring, re.DOTALL)
    entries = re.split(r"\n?\s*^\s*(\w+): ", section.group(1), flags=re.MULTILINE)[1:] if section else []
    return {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}


def checked(asked: str, parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters with the given values checked and the defaults filled in.

    Args:
        asked: whose parameters these are, for the message.
        parameters: what `parameters_of` returned.
        values: the user's choices, typed or as text.

    Raises:
        ParameterError: on an unknown name, a wrong type or a value out of bounds.
    """
    for name in values:
        if name not in parameters:
            near = get_close_matches(name, parameters, 1)
            raise ParameterError(
                f"Parameter of {asked}",
                found=repr(name),
                accepted=", ".join(parameters) or "none",
                fix=f"Did you mean {near[0]}?" if near else "",
            )
    return {
        name: parameter.checked(values[name]) if name in values else parameter.default
        for name, parameter in parameters.items()
    }
