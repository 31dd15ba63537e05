"""A recipe: everything that makes a model, but for the data and the machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from MedFusionLib.training.consolidation import STRENGTH
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.patches import Augmentation, Prepare

Answer = Callable[[Tensor, Sequence[str]], Tensor]
"""(slice (K, H, W) in [0, 1], modalities) -> what a network shall make of it, (C, H, W)."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a model, but for the data and the machine.

    Args:
        name: of the model.
        title: for people.
        what: the network, in a sentence.
        build: configuration -> network.
        config: of the network.
        loss: of a batch of sources; if it compares features, their network is its third argument.
        use: what it is for.
        limits: what it is not.
        golden: (network, (1, 2, H, W)) -> what a small input becomes.
        schedule: how long, how fast.
        sets: data sets to train on; all there are if empty.
        patch: pixels a side.
        batch: patches at once.
        augmentation: how patches vary.
        prepare: as `Patches` takes it.
        answer: (slice (K, H, W), modalities) -> (C, H, W) that the loss gets behind the sources; None for nothing.
        compares_features: the loss does.
        sources: that every case must have; None for any number, the same in all sets.
        consolidation: how firmly what was learned is held while further tasks are.
        seed: of weights and patches.
    """

    name: str
    title: str
    what: str
    build: Callable[[Any], nn.Module]
    config: Any
    loss: Callable[..., Tensor]
    use: str
    limits: str
    golden: Callable[[nn.Module, Tensor], Tensor]
    schedule: Schedule
    sets: tuple[str, ...] = ()
    patch: int = 64
    batch: int = 16
    augmentation: Augmentation = field(default_factory=Augmentation)
    prepare: Prepare | None = None
    answer: Answer | None = None
    compares_features: bool = False
    sources: int | None = None
    consolidation: float = STRENGTH
    seed: int = 0


def recipes() -> dict[str, Recipe]:
    """The recipes of networks by model name."""
    import importlib
    import pkgutil

    from MedFusionLib.training import recipes as package

    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        recipe = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "RECIPE", None)
        if recipe is not None:
            found[recipe.name] = recipe
    return found
