"""Find fusion methods and metrics by name. Listing them and reading their parameters imports no torch."""

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
        model: the trained model it needs, a folder of `models/`; empty if none.
        tolerance: mean absolute difference that the result may have from sources that are all the same, for learned
            methods; None: they come back but for rounding.
        ripple: how much the result may vary where every source is flat; more than rounding for networks that have a
            filter for each of the pixels that one becomes.
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
    model: str = ""
    tolerance: float | None = None
    ripple: float = 1e-5

    @property
    def name(self) -> str:
        """The public name: of the function and of its file."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """One sentence on what it does."""
        return _summary(self.function)

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


DIRECTIONS = ("up", "down", "zero", "none")
"""Which way a metric is better: higher, lower, nearer to zero; "none" describes and does not judge."""

POOLINGS = ("mean", "sum", "hm", "min", "weighted")
"""How values of the single sources become one; `metrics._pooling.pooled` does it."""

METRIC_FAMILIES = ("edge", "fidelity", "structure", "dependence", "perception", "statistics", "color", "task")

GAMES = ("noise", "contrast", "blur", "copy")
"""What improves a score without a better fusion: adding noise, stretching contrast, blurring, returning one source."""


@dataclass(frozen=True)
class Metric:
    """A no-reference metric and the facts of its decorator. Call it with images in [0, 1].

    Args:
        function: `(fused (B, 1, *S), sources (B, K, *S), *, mask) -> (B,)`, or `(B, K)` where each source has a value
            of its own; "weighted" ones return a second (B, K), the weights. All in gray levels, 0 to 255. `mask` is
            (B, 1, *S) bool, or None for the whole image; `spacing`, `labels` or colors come if they are named.
        title: its name for people.
        family: one of `METRIC_FAMILIES`; members of one family share its weight in the mean rank.
        direction: one of `DIRECTIONS`.
        range: smallest and largest value, None where there is no bound.
        identical: its value if all sources and the fused image are the same; words where it depends on the image.
        flat: its value for a constant fused image of sources with texture; words likewise.
        reference: authors, year, DOI.
        unit: of the value; "" if it has none.
        pool: the paper's way from the sources' values to one, of `POOLINGS`; "" if it is one value from the start.
        dims: numbers of spatial dimensions it is defined for; a volume is scored slice by slice where 3 is not.
        smallest: voxels that an image must have along each axis.
        undefined: when it is NaN, in words; said wherever it is.
        gamed_by: those of `GAMES` that are known to improve it.
        differentiable: gradients flow to the fused image.
        tolerance: relative difference to the reference values that rounding explains.
    """

    function: Callable[..., Any]
    title: str
    family: str
    direction: str
    range: tuple[float | None, float | None]
    identical: float | str
    flat: float | str
    reference: str
    unit: str = ""
    pool: str = ""
    dims: tuple[int, ...] = (2, 3)
    smallest: int = 1
    undefined: str = ""
    gamed_by: tuple[str, ...] = ()
    differentiable: bool = True
    tolerance: float = 1e-6

    @property
    def name(self) -> str:
        """The public name: of the function and of its file."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """One sentence on what it measures."""
        return _summary(self.function)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Its variants: options by name."""
        return parameters_of(self.function)

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """What it must be handed besides the images and the mask."""
        return tuple(name for name in inspect.signature(self.function).parameters if name in HANDED_OVER)

    def __call__(self, fused: Any, sources: Any, mask: Any = None, *, pool: str = "", **options: Any) -> Any:
        """Score a batch.

        Args:
            fused: (B, 1, *S) in [0, 1].
            sources: (B, K, *S) in [0, 1].
            mask: (B, 1, *S) bool, where to score; None scores the whole image.
            pool: another way to one value than the metric's own.
            options: its variants, and what it `needs`.

        Returns:
            (B,) scores; NaN where the metric is undefined.

        Raises:
            DataError: on shapes that do not match, values that are no numbers, images too small, an empty mask.
        """
        from MedFusionLib.metrics._pooling import pooled

        return pooled(self, self.values(fused, sources, mask, **options), pool)

    def values(self, fused: Any, sources: Any, mask: Any = None, **options: Any) -> Any:
        """As `__call__`, before pooling: what the function returns."""
        from MedFusionLib.metrics._domain import LEVELS, check

        check(self, fused, sources, mask, options.get("spacing"))
        given = {name: options.pop(name) for name in self.needs if name in options and name != "mask"}
        return self.function(LEVELS * fused, LEVELS * sources, mask=mask, **given, **self.checked(options))

    def checked(self, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """All variants, the given ones checked, the defaults filled in (ParameterError)."""
        return checked(self.name, self.parameters, values or {})


_METHODS: dict[str, Method] = {}
_METRICS: dict[str, Metric] = {}


def method(**facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a fusion method; the facts are those of `Method`. The function stays as it is."""
    return _registering(Method, _METHODS, facts, {"family": FAMILIES})


def metric(**facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a metric; the facts are those of `Metric`. The function stays as it is."""
    accepted = {"family": METRIC_FAMILIES, "direction": DIRECTIONS, "pool": ("", *POOLINGS)}
    return _registering(Metric, _METRICS, facts, accepted)


def _registering(
    kind: type, known: dict[str, Any], facts: dict[str, Any], accepted: dict[str, tuple[str, ...]]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        entry = kind(function, **facts)
        earlier = known.get(entry.name)
        if earlier is not None and earlier.function.__module__ != function.__module__:
            raise ValueError(
                f"two functions are named {entry.name!r}: {earlier.function.__module__}, {function.__module__}"
            )
        for fact, options in accepted.items():
            if getattr(entry, fact) not in options:
                raise ValueError(f"{fact} of {entry.name}: {getattr(entry, fact)!r} is none of {options}")
        known[entry.name] = entry
        return function

    return register


def list_methods() -> dict[str, Method]:
    """Every fusion method by name: each file of `MedFusionLib/methods/` is one, and what others registered."""
    _import_all("MedFusionLib.methods")
    return dict(sorted(_METHODS.items()))


def list_metrics() -> dict[str, Metric]:
    """Every metric by name: each file of `MedFusionLib/metrics/` is one, and what others registered."""
    _import_all("MedFusionLib.metrics")
    return dict(sorted(_METRICS.items()))


def find_method(name: str) -> Method:
    """The method of this name.

    Raises:
        UnknownNameError: if there is none; the message names the nearest.
    """
    return _found("Fusion method", name, list_methods())


def find_metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        UnknownNameError: if there is none; the message names the nearest.
    """
    return _found("Metric", name, list_metrics())


def _import_all(package: str) -> None:
    """Import every file of a package but the machinery (a leading underscore): each registers itself."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package}.{module.name}")


def _found(asked: str, name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        near = get_close_matches(name.lower(), known, 1)
        raise UnknownNameError(
            asked,
            found=repr(name),
            accepted=", ".join(known),
            fix=f"Did you mean {near[0]}?" if near else "",
        )
    return known[name]


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getmodule(function).__doc__ or "").strip().split("\n")[0]
