"""What a trained model tells of itself."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from MedFusionLib.training.features import OURS
from MedFusionLib.training.pairs import Split
from MedFusionLib.training.recipe import Recipe
from MedFusionLib.training.tasks import Task


def card(
    recipe: Recipe, tasks: Sequence[Task], measured: Mapping[str, Any], minutes: float, device: str, **more: Any
) -> dict[str, Any]:
    """What the model is and where it came from, but for the sums that `save_model` adds.

    Args:
        recipe: what made it.
        tasks: what it learned, in this order.
        measured: numbers of the training.
        minutes: that it took.
        device: torch's name of it.
        more: facts of this run.
    """
    first, *further = (_told(task.folder, task.split) for task in tasks)
    return {
        "name": recipe.name,
        "title": recipe.title,
        "what": recipe.what,
        "input": "gray images in [0, 1], as `harmonize.align` makes them; of PET and SPECT the uptake",
        "config": asdict(recipe.config),
        "data": first,
        **({"then": further} if further else {}),
        "recipe": _command(recipe, [told["folder"] for told in further], more),
        **more,
        "seed": recipe.seed,
        "hardware": f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {platform.machine()}",
        "minutes": round(minutes, 1),
        "measured": dict(measured),
        "use": recipe.use,
        "limits": recipe.limits,
    }


def _command(recipe: Recipe, further: Sequence[str], choices: Mapping[str, Any]) -> str:
    """What makes the model again."""
    parts = [f"medfusion train {recipe.name} --data DIR"]
    if further:
        parts.append(" ".join(["--then", *further]))
        parts.append(f"--consolidation {choices['consolidation']:g}")
    if choices.get("features", OURS) != OURS:
        parts.append(f"--features {choices['features']}")
    if choices.get("started_from"):
        parts.append(f"--from {choices['started_from']}")
    return " ".join(parts)


def _told(data: Path, split: Split) -> dict[str, Any]:
    counts = {
        f"{slices.group}, {name}": f"{len(slices.images)} slices of {len(set(slices.patients))} patients"
        for name in ("train", "validation")
        for slices in getattr(split, name)
    }
    told = {
        "what": counts,
        "folder": data.name,
        "licence": "that of the images, of which none is kept",
        "left out, unreadable": split.skipped,
    }
    for folder in (data, data.parent):
        if (folder / "splits.json").is_file():
            return {**told, "split_sha256": hashlib.sha256((folder / "splits.json").read_bytes()).hexdigest()}
    return told
