"""From a recipe to a model's folder: read, train, measure on patients kept aside, write weights and card."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from MedFusionLib.errors import FileError
from MedFusionLib.pipeline import part
from MedFusionLib.slabs import Progress
from MedFusionLib.training.loop import Loss, Schedule, Trained, train
from MedFusionLib.training.pairs import Split, load_split
from MedFusionLib.training.patches import PLAIN, Augmentation, Patches, Prepare
from MedFusionLib.weights import Model, find_model, save_model

_VALIDATION_BATCHES = 12

_READ_SHARE = 0.1
"""Of the progress bar, what reading the data takes."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a model, but for the data and the machine.

    Args:
        name: of the model.
        title: for people.
        what: the network, in a sentence.
        build: configuration -> network.
        config: of the network.
        loss: of a batch of sources.
        use: what it is for.
        limits: what it is not.
        golden: (network, (1, 2, H, W)) -> what a small input becomes.
        schedule: how long, how fast.
        sets: data sets to train on; all there are if empty.
        patch: pixels a side.
        batch: patches at once.
        augmentation: how patches vary.
        prepare: as `Patches` takes it.
        seed: of weights and patches.
    """

    name: str
    title: str
    what: str
    build: Callable[[Any], nn.Module]
    config: Any
    loss: Loss
    use: str
    limits: str
    golden: Callable[[nn.Module, Tensor], Tensor]
    schedule: Schedule
    sets: tuple[str, ...] = ()
    patch: int = 64
    batch: int = 16
    augmentation: Augmentation = field(default_factory=Augmentation)
    prepare: Prepare | None = None
    seed: int = 0


def remake(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    minutes: float | None = None,
    device: str = "cpu",
    start: str | Path | None = None,
    progress: Progress | None = None,
) -> Model:
    """Train by a recipe and write the model's folder.

    Args:
        recipe: what to make.
        data: as `training.pairs.load_split` takes it.
        out: folder for checkpoint, curve, weights and card; a training that was stopped there goes on.
        minutes: after which training ends, whatever its schedule says.
        device: torch's name of it.
        start: a model whose tensors to begin with.
        progress: as in `training.loop.train`.

    Raises:
        FileError, DataError: as `load_split`; FileError if the tensors to start with belong to another network.
        RunError, SaveError: as `training.loop.train`.
    """
    split = load_split(data, recipe.sets, part(progress, 0, _READ_SHARE))
    torch.manual_seed(recipe.seed)
    network = recipe.build(recipe.config)
    if start is not None:
        _begin_with(network, find_model(start))
    batches = Patches(split.train, recipe.patch, recipe.batch, recipe.seed, recipe.augmentation, recipe.prepare)
    held = Patches(split.validation, recipe.patch, recipe.batch, recipe.seed + 1, PLAIN, recipe.prepare)
    validation = [held() for _ in range(_VALIDATION_BATCHES)]
    schedule = recipe.schedule if minutes is None else replace(recipe.schedule, minutes=minutes)
    trained = train(
        network,
        recipe.loss,
        batches,
        validation,
        out,
        schedule,
        device=device,
        progress=part(progress, _READ_SHARE, 1),
    )
    network.to("cpu").load_state_dict(trained.tensors)
    tensors = {name: _halved(each) for name, each in trained.tensors.items()}
    network.load_state_dict(tensors)
    network.eval()
    sample = golden_input()
    with torch.no_grad():
        golden = {"sources": sample, "output": recipe.golden(network, sample)}
    return save_model(out, card(recipe, data, split, trained, device, start), tensors, golden)


def golden_input() -> Tensor:
    """(1, 2, 48, 40) two waves with their own slopes: enough for a network to show that it is the same."""
    down = torch.arange(48, dtype=torch.float32)[:, None]
    right = torch.arange(40, dtype=torch.float32)[None]
    first = 0.5 + 0.4 * torch.sin(down / 3) * torch.cos(right / 5)
    second = 0.5 + 0.3 * torch.cos((down + right) / 4) * (right / 40)
    return torch.stack([first, second])[None]


def card(
    recipe: Recipe, data: Path, split: Split, trained: Trained, device: str, start: str | Path | None
) -> dict[str, Any]:
    """What the model is and where it came from, but for the sums that `save_model` adds."""
    return {
        "name": recipe.name,
        "title": recipe.title,
        "what": recipe.what,
        "input": "gray images in [0, 1], as `harmonize.align` makes them; of PET and SPECT the uptake",
        "config": asdict(recipe.config),
        "data": _told(data, split),
        "recipe": f"medfusion train {recipe.name} --data DIR",
        "started_from": None if start is None else str(start),
        "seed": recipe.seed,
        "hardware": f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {platform.machine()}",
        "minutes": round(trained.minutes, 1),
        "measured": {
            "steps": trained.steps,
            "step of the weights": trained.best_step,
            "loss on patients kept aside": round(trained.best, 5),
        },
        "use": recipe.use,
        "limits": recipe.limits,
    }


def _told(data: Path, split: Split) -> dict[str, Any]:
    counts = {
        f"{slices.group}, {name}": f"{len(slices.images)} slices of {len(set(slices.patients))} patients"
        for name in ("train", "validation")
        for slices in getattr(split, name)
    }
    told = {
        "what": counts,
        "source": "the folder that was named; for the weights shipped: AANLIB (Harvard Whole Brain Atlas), train ids",
        "licence": "research use; the images are not part of this repository",
        "left out, unreadable": split.skipped,
    }
    for folder in (data, data.parent):
        if (folder / "splits.json").is_file():
            return {**told, "split_sha256": hashlib.sha256((folder / "splits.json").read_bytes()).hexdigest()}
    return told


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


def _halved(tensor: Tensor) -> Tensor:
    """Weights are kept in half precision; counters stay what they are."""
    return tensor.half() if tensor.is_floating_point() else tensor


def curves(folders: Sequence[Path], path: Path) -> Path:
    """One picture of the training and validation losses in these folders."""
    import csv

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(folders), 3), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, folder in zip(figure.subplots(1, len(folders), squeeze=False)[0], folders, strict=True):
        with (folder / "curve.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for column in ("training", "validation"):
            axes.plot([int(row["step"]) for row in rows], [float(row[column]) for row in rows], label=column)
        axes.set(title=folder.name, xlabel="step", ylabel="loss")
        axes.legend()
    figure.savefig(path)
    return path


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
