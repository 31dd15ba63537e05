"""What a network learns, one folder a task: read, checked against the recipe, answered, with batches to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from MedFusionLib.errors import DataError
from MedFusionLib.pipeline import part
from MedFusionLib.slabs import Progress
from MedFusionLib.training.pairs import Slices, Split, load_split
from MedFusionLib.training.patches import PLAIN, Patches
from MedFusionLib.training.recipe import Recipe

_VALIDATION_BATCHES = 12


@dataclass(frozen=True)
class Task:
    """One folder to learn from.

    Args:
        folder: where it lies.
        split: its slices.
        held: batches of patients kept aside.
    """

    folder: Path
    split: Split
    held: list[Tensor]


def read_tasks(recipe: Recipe, folders: Sequence[Path], progress: Progress | None) -> list[Task]:
    """Read folders; those behind the first may have sets of any names, which count as OTHER.

    Raises:
        FileError, DataError: as `load_split`; DataError if a set has not as many sources as the recipe needs.
    """
    tasks = []
    for number, folder in enumerate(folders):
        here = part(progress, number / len(folders), (number + 1) / len(folders))
        split = load_split(folder, () if number else recipe.sets, here, any_names=number > 0)
        _check_sources(recipe, folder, split)
        split = replace(split, train=_answered(recipe, split.train), validation=_answered(recipe, split.validation))
        held = Patches(split.validation, recipe.patch, recipe.batch, recipe.seed + 1, PLAIN, recipe.prepare)
        tasks.append(Task(folder, split, [held() for _ in range(_VALIDATION_BATCHES)]))
    return tasks


def _check_sources(recipe: Recipe, folder: Path, split: Split) -> None:
    wanted = recipe.sources or len(split.train[0].modalities)
    for slices in split.train:
        if len(slices.modalities) != wanted:
            raise DataError(
                f"Set {slices.group} of {folder} for {recipe.name}",
                found=", ".join(slices.modalities),
                accepted=f"{wanted} sources a case, in every set",
            )


def _answered(recipe: Recipe, parts: Sequence[Slices]) -> tuple[Slices, ...]:
    """With what the network shall make of every slice, if the recipe asks for it."""
    answer = recipe.answer
    if answer is None:
        return tuple(parts)
    return tuple(
        replace(each, answers=tuple(answer(image, each.modalities).half() for image in each.images)) for each in parts
    )
