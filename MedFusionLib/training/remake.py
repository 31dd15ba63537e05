"""From a recipe to a model's folder: read, train, measure on patients kept aside, write weights and card."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from MedFusionLib.errors import DependencyError, FileError, ParameterError
from MedFusionLib.pipeline import part
from MedFusionLib.slabs import Progress
from MedFusionLib.training.card import card
from MedFusionLib.training.consolidation import Consolidation
from MedFusionLib.training.curves import PICTURE, draw
from MedFusionLib.training.features import KINDS, OURS, frozen_features
from MedFusionLib.training.loop import Loss, Schedule, Trained, train
from MedFusionLib.training.patches import Patches
from MedFusionLib.training.precision import halved
from MedFusionLib.training.recipe import Recipe
from MedFusionLib.training.tasks import Task, read_tasks
from MedFusionLib.weights import Model, find_model, save_model

_log = logging.getLogger("MedFusionLib")

_READ_SHARE = 0.1
"""Of the progress bar, what reading the data takes."""


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
        features: whose features a loss compares, one of `training.features.KINDS`.
        minutes: after which training ends, whatever its schedule says; tasks share them evenly.
        device: torch's name of it.
        start: a model whose tensors to begin with.
        progress: as in `training.loop.train`.

    Raises:
        ParameterError: on a consolidation that is no positive number or 0, or features that are none of `KINDS`.
        FileError, DataError: as `read_tasks`; FileError if the tensors to start with belong to another network, or as
            `frozen_features`.
        RunError, SaveError: as `training.loop.train`.
    """
    strength = recipe.consolidation if consolidation is None else consolidation
    if not (math.isfinite(strength) and strength >= 0):
        raise ParameterError("Consolidation", found=strength, accepted="0 or a positive number")
    if features not in KINDS:
        raise ParameterError("Features", found=repr(features), accepted=", ".join(KINDS))
    torch.manual_seed(recipe.seed)
    network = recipe.build(recipe.config)
    if start is not None:
        _begin_with(network, find_model(start))
    loss = partial(recipe.loss, features=frozen_features(features, device)) if recipe.compares_features else recipe.loss
    tasks = read_tasks(recipe, [data, *then], part(progress, 0, _READ_SHARE))
    schedule = recipe.schedule if minutes is None else replace(recipe.schedule, minutes=minutes / len(tasks))
    sequence = _Sequence(recipe, loss, schedule, strength, features, out, device)
    learned = sequence.learn(network, tasks, part(progress, _READ_SHARE, 1))
    measured = sequence.measured(network, tasks, learned)
    network.to("cpu").eval()
    tensors, change = halved(recipe, network, tasks[0].split)
    network.load_state_dict(tensors)
    facts: dict[str, object] = {"started_from": None if start is None else str(start)}
    if recipe.compares_features:
        facts["features"] = features
    if then:
        facts["consolidation"] = strength
    spent = sum(each.minutes for each in learned)
    told = card(recipe, tasks, measured | change, spent, device, **facts)
    return save_model(out, told, tensors, golden_of(recipe, network))


@dataclass(frozen=True)
class _Sequence:
    """How tasks are learned one after the other."""

    recipe: Recipe
    loss: Loss
    schedule: Schedule
    strength: float
    features: str
    out: Path
    device: str

    def learn(self, network: nn.Module, tasks: Sequence[Task], progress: Progress | None) -> list[Trained]:
        """Train the network on each task; it ends with the weights of the last."""
        held, learned = Consolidation(self.strength), list[Trained]()
        for number, task in enumerate(tasks):
            batches = self._batches(task)
            learned.append(
                train(
                    network,
                    partial(_held_back, self.loss, held) if number else self.loss,
                    batches,
                    task.held,
                    place := self.out / f"then-{number}" if number else self.out,
                    # Further tasks begin with a network that can fuse.
                    replace(self.schedule, steps=self.schedule.steps // 2) if number else self.schedule,
                    device=self.device,
                    progress=part(progress, number / len(tasks), (number + 1) / len(tasks)),
                    validated=partial(_drawn, place),
                    origin=self._origin(network, task if number else None),
                    settled=number > 0,
                )
            )
            network.load_state_dict(learned[-1].tensors)
            if number < len(tasks) - 1:
                held.remember(network, self.loss, lambda batches=batches: batches().to(self.device))
        return learned

    def _batches(self, task: Task) -> Patches:
        recipe = self.recipe
        return Patches(task.split.train, recipe.patch, recipe.batch, recipe.seed, recipe.augmentation, recipe.prepare)

    def _origin(self, network: nn.Module, further: Task | None) -> str:
        """What a training began with: of checkpoints with another one none goes on."""
        hashed = hashlib.sha256(repr((self.features, further and (further.folder.name, self.strength))).encode())
        for tensor in network.state_dict().values():
            hashed.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return hashed.hexdigest()

    @torch.no_grad()
    def measured(self, network: nn.Module, tasks: Sequence[Task], learned: Sequence[Trained]) -> dict[str, object]:
        """Steps and losses; of a sequence, how each task stands at its end."""
        network.eval()
        ends = []
        for task in tasks:
            losses = [self.loss(network, batch.to(self.device)).item() for batch in task.held]
            ends.append({"task": task.folder.name, "loss": round(sum(losses) / len(losses), 5)})
        told: dict[str, object] = {
            "steps": sum(each.steps for each in learned),
            "step of the weights": learned[-1].best_step,
            "loss on patients kept aside": ends[0]["loss"],
        }
        if len(tasks) > 1:
            told["loss before further tasks"] = round(learned[0].best, 5)
            told["loss at the end"] = ends
        return told


def _held_back(loss: Loss, held: Consolidation, network: nn.Module, batch: Tensor) -> Tensor:
    return loss(network, batch) + held.penalty(network)


def _drawn(place: Path) -> None:
    """The picture of the losses so far; a training does not end for the lack of one."""
    try:
        draw([place], place / PICTURE)
    except (DependencyError, OSError) as error:
        _log.info(f"No picture of the losses: {error}")


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
