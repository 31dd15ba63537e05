"""From a recipe to a model's folder: read, train, measure on patients kept aside, write weights and card."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from MedFusionLib.errors import DependencyError, FileError
from MedFusionLib.pipeline import part
from MedFusionLib.slabs import Progress
from MedFusionLib.training.card import card
from MedFusionLib.training.consolidation import Consolidation
from MedFusionLib.training.curves import PICTURE, draw
from MedFusionLib.training.features import OURS, frozen_features
from MedFusionLib.training.loop import Loss, Schedule, Trained, train
from MedFusionLib.training.pairs import Slices, Split, load_split
from MedFusionLib.training.patches import PLAIN, Patches
from MedFusionLib.training.precision import lean
from MedFusionLib.training.recipe import Recipe
from MedFusionLib.weights import Model, find_model, save_model

_VALIDATION_BATCHES = 12

_READ_SHARE = 0.1
"""Of the progress bar, what reading the data takes."""


@dataclass(frozen=True)
class _Task:
    """One folder to learn from, with what it is validated on."""

    folder: Path
    split: Split
    held: list[Tensor]


def remake(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    then: Sequence[Path] = (),
    consolidation: float | None = None,
    features: str = OURS,
    minutes: float | None = None,
    device: str = "cpu",
    start: str | Path | None = None,
    progress: Progress | None = None,
) -> Model:
    """Train by a recipe and write the model's folder.

    Args:
        recipe: what to make.
        data: as `training.pairs.load_split` takes it.
        out: folder for checkpoints, curves, weights and card; a training that was stopped there goes on.
        then: folders of further tasks, learned one after the other, in half of the recipe's steps each.
        consolidation: how firmly what was learned is held while the next task is, the recipe's by default; 0 lets the
            network forget.
        features: whose features a loss compares, as `training.features.frozen_features` takes it.
        minutes: after which training ends, whatever its schedule says; tasks share them evenly.
        device: torch's name of it.
        start: a model whose tensors to begin with.
        progress: as in `training.loop.train`.

    Raises:
        FileError, DataError: as `load_split`; FileError if the tensors to start with belong to another network,
            or as `frozen_features`.
        RunError, SaveError: as `training.loop.train`.
    """
    loss = partial(recipe.loss, features=frozen_features(features, device)) if recipe.compares_features else recipe.loss
    torch.manual_seed(recipe.seed)
    network = recipe.build(recipe.config)
    if start is not None:
        _begin_with(network, find_model(start))
    tasks = _read(recipe, [data, *then], part(progress, 0, _READ_SHARE))
    schedule = recipe.schedule if minutes is None else replace(recipe.schedule, minutes=minutes / len(tasks))
    held = Consolidation(recipe.consolidation if consolidation is None else consolidation)
    learned = _learn(recipe, network, tasks, loss, schedule, held, out, device, part(progress, _READ_SHARE, 1))
    tensors, change = lean(recipe, network, tasks[0].split)
    network.load_state_dict(tensors)
    golden = golden_of(recipe, network)
    measured = _measured(network, loss, tasks, learned) | change
    facts: dict[str, object] = {"started_from": None if start is None else str(start)}
    if then:
        facts["consolidation"] = held.strength
    spent = sum(each.minutes for each in learned)
    told = card(recipe, {task.folder: task.split for task in tasks}, measured, spent, device, **facts)
    return save_model(out, told, tensors, golden)


def _read(recipe: Recipe, folders: Sequence[Path], progress: Progress | None) -> list[_Task]:
    tasks = []
    for number, folder in enumerate(folders):
        here = part(progress, number / len(folders), (number + 1) / len(folders))
        split = load_split(folder, recipe.sets if number == 0 else (), here)
        if recipe.answer is not None:
            split = replace(split, train=_answered(recipe, split.train), validation=_answered(recipe, split.validation))
        held = Patches(split.validation, recipe.patch, recipe.batch, recipe.seed + 1, PLAIN, recipe.prepare)
        tasks.append(_Task(folder, split, [held() for _ in range(_VALIDATION_BATCHES)]))
    return tasks


def _answered(recipe: Recipe, parts: Sequence[Slices]) -> tuple[Slices, ...]:
    """With what the network shall make of every slice."""
    if recipe.answer is None:
        return tuple(parts)
    return tuple(
        replace(each, answers=tuple(recipe.answer(image, each.modalities).half() for image in each.images))
        for each in parts
    )


def _learn(
    recipe: Recipe,
    network: nn.Module,
    tasks: Sequence[_Task],
    loss: Loss,
    schedule: Schedule,
    held: Consolidation,
    out: Path,
    device: str,
    progress: Progress | None,
) -> list[Trained]:
    """One task after the other; the network ends with the weights of the last, on the CPU."""
    learned: list[Trained] = []
    for number, task in enumerate(tasks):
        place = out / f"then-{number}" if number else out
        batches = Patches(
            task.split.train, recipe.patch, recipe.batch, recipe.seed, recipe.augmentation, recipe.prepare
        )
        here = part(progress, number / len(tasks), (number + 1) / len(tasks))
        held_back = partial(_held_back, loss, held) if number else loss
        # Further tasks begin with a network that can fuse.
        told = replace(schedule, steps=schedule.steps // 2) if number else schedule
        drawn = partial(_drawn, place)
        learned.append(
            train(network, held_back, batches, task.held, place, told, device=device, progress=here, validated=drawn)
        )
        network.load_state_dict(learned[-1].tensors)
        if number < len(tasks) - 1:
            network.to(device)
            held.remember(network, loss, lambda batches=batches: batches().to(device))
    network.to("cpu").eval()
    return learned


def _drawn(place: Path) -> None:
    """The picture of the losses so far, where there is something to draw with."""
    with suppress(DependencyError):
        draw([place], place / PICTURE)


def _patches(recipe: Recipe, slices: Sequence[Slices]) -> Patches:
    return Patches(slices, recipe.patch, recipe.batch, recipe.seed, recipe.augmentation, recipe.prepare)


def _held_back(loss: Loss, held: Consolidation, network: nn.Module, batch: Tensor) -> Tensor:
    return loss(network, batch) + held.penalty(network)


@torch.no_grad()
def _measured(network: nn.Module, loss: Loss, tasks: Sequence[_Task], learned: Sequence[Trained]) -> dict[str, object]:
    """Steps and losses; of a sequence, how each task stands at its end."""
    first = learned[0]
    told: dict[str, object] = {
        "steps": sum(each.steps for each in learned),
        "step of the weights": first.best_step,
        "loss on patients kept aside": round(first.best, 5),
    }
    if len(tasks) > 1:
        on = {task.folder.name: sum(loss(network, batch).item() for batch in task.held) for task in tasks}
        told["loss at the end"] = {name: round(value / _VALIDATION_BATCHES, 5) for name, value in on.items()}
        told["step of the weights"] = [each.best_step for each in learned]
    return told


def golden_of(recipe: Recipe, network: nn.Module) -> dict[str, Tensor]:
    """A small input, two waves with their own slopes, and what the network makes of it: enough to know it again."""
    down = torch.arange(48, dtype=torch.float32)[:, None]
    right = torch.arange(40, dtype=torch.float32)[None]
    first = 0.5 + 0.4 * torch.sin(down / 3) * torch.cos(right / 5)
    second = 0.5 + 0.3 * torch.cos((down + right) / 4) * (right / 40)
    sample = torch.stack([first, second])[None]
    with torch.no_grad():
        return {"sources": sample, "output": recipe.golden(network, sample)}


def _begin_with(network: nn.Module, model: Model) -> None:
    """Take over the tensors that fit; a network that shares none is another one."""
    own, given = network.state_dict(), model.weights()
    fitting = {name: each.float() for name, each in given.items() if name in own and own[name].shape == each.shape}
    if not fitting:
        raise FileError(
            f"Model {model.name} to start with",
            found="no tensor that this network has",
            accepted="a model of the same network",
        )
    network.load_state_dict({**own, **fitting})
