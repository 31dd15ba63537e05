"""Find fusion methods by name. Listing them and reading their parameters imports no torch."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from MedFusionLib.errors import UnknownNameError
from MedFusionLib.params import HANDED_OVER, Parameter, checked, parameters_of

FAMILIES = ("transform", "sparse", "pulse", "cnn", "gan", "unified", "flagship")


@dataclass(frozen=True)
class Method:
    """A fusion method and the facts of its decorator.

    Args:
        function: `(sources (B, K, *S) in [0, 1], *, parameters) -> (B, 1, *S)`.
        title: its name for people.
        family: one of `FAMILIES`.
        dims: numbers of spatial dimensions it works in natively, of 2 and 3.
        sources: fewest and most sources (None: any number).
        reference: authors, year, DOI.
        modalities: what it was published for; empty if for any.
        reach: how many voxels away an input can change an output, a number or a function of the parameters.
            The pipeline overlaps its slabs by this much.
        stride: slabs must start at multiples of this (decimating transforms), a number or a function likewise.
        workspace: peak memory in float32 copies of the sources, measured; sizes the slabs.
        keeps_lone: a blank other source gives the first back.
        differentiable: gradients flow to the sources.
        mixed_precision: may run under autocast on CUDA.
        double: works in float64, which MPS does not have; there the pipeline takes the CPU.
    """

    function: Callable[..., Any]
    title: str
    family: str
    dims: tuple[int, ...]
    sources: tuple[int, int | None]
    reference: str
    modalities: tuple[str, ...] = ()
    reach: int | Callable[..., int] = 0
    stride: int | Callable[..., int] = 1
    workspace: float = 4.0
    keeps_lone: bool = False
    differentiable: bool = True
    mixed_precision: bool = False
    double: bool = False

    @property
    def name(self) -> str:
        """The public name: of the function and of its file."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """One sentence on what it does."""
        return (inspect.getmodule(self.function).__doc__ or "").strip().split("\n")[0]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The user's parameters by name."""
        return parameters_of(self.function)

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """What the pipeline must hand over besides the sources."""
        return tuple(name for name in inspect.signature(self.function).parameters if name in HANDED_OVER)

    def checked(self, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """All parameters, the given values checked, the defaults filled in (ParameterError)."""
        return checked(self.name, self.parameters, values or {})

    def reach_of(self, parameters: dict[str, Any]) -> int:
        """Voxels of overlap that make slabs exact with these parameters."""
        return self.reach(**parameters) if callable(self.reach) else self.reach

    def stride_of(self, parameters: dict[str, Any]) -> int:
        """The multiple at which slabs start with these parameters."""
        return self.stride(**parameters) if callable(self.stride) else self.stride


_METHODS: dict[str, Method] = {}


def method(**facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a fusion method; the facts are those of `Method`. The function stays as it is."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        entry = Method(function, **facts)
        known = _METHODS.get(entry.name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ValueError(
                f"two methods are named {entry.name!r}: {known.function.__module__}, {function.__module__}"
            )
        if entry.family not in FAMILIES:
            raise ValueError(f"family of {entry.name}: {entry.family!r} is none of {FAMILIES}")
        _METHODS[entry.name] = entry
        return function

    return register


def list_methods() -> dict[str, Method]:
    """Every fusion method by name: each file of `MedFusionLib/methods/` is one, and what others registered."""
    package = importlib.import_module("MedFusionLib.methods")
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"MedFusionLib.methods.{module.name}")
    return dict(sorted(_METHODS.items()))


def find_method(name: str) -> Method:
    """The method of this name.

    Raises:
        UnknownNameError: if there is none; the message names the nearest.
    """
    known = list_methods()
    if name not in known:
        near = get_close_matches(name.lower(), known, 1)
        raise UnknownNameError(
            "Fusion method",
            found=repr(name),
            accepted=", ".join(known),
            fix=f"Did you mean {near[0]}?" if near else "",
        )
    return known[name]
