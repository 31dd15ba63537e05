"""Weights in half precision, where that does not show in the scores."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from MedFusionLib.errors import DataError
from MedFusionLib.registry import Method, find_metric, list_methods
from MedFusionLib.scoring import PANEL
from MedFusionLib.training.pairs import Slices, Split
from MedFusionLib.training.recipe import Recipe
from MedFusionLib.weights import CARD_FACTS, save_model

_log = logging.getLogger("MedFusionLib")

MOST = 0.002
"""Relative change of a panel score, from which on weights stay in single precision."""

_SLICES = 4
"""Of each set's patients kept aside, that are fused both ways."""


def halved(recipe: Recipe, network: nn.Module, split: Split) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The weights of a network in half precision if its scores allow, and by how much they change.

    Args:
        recipe: the network's.
        network: on the CPU.
        split: of the data.

    Returns:
        The tensors, and the largest relative change of a score of the panel; nothing of it if no method runs the
        network, or where patches are too small or results too poor for scores: then weights stay as they are.
    """
    whole = {name: each.detach().clone() for name, each in network.state_dict().items()}
    half = {name: each.half() if each.is_floating_point() else each for name, each in whole.items()}
    methods = [entry for entry in list_methods().values() if entry.model == recipe.name]
    if not methods:
        return half, {}
    try:
        change = max(moved(entry, recipe, (whole, half), split) for entry in methods)
    except DataError as error:
        _log.warning(f"Weights stay in single precision, as they could not be scored: {error}")
        return whole, {}
    return half if change <= MOST else whole, {"largest change of a panel score by half precision": round(change, 6)}


def moved(entry: Method, recipe: Recipe, kinds: tuple[dict[str, Tensor], dict[str, Tensor]], split: Split) -> float:
    """The largest relative change of a panel score, mean over slices, from the first tensors to the second."""
    scores = []
    for tensors in kinds:
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder), dict.fromkeys(CARD_FACTS, "") | {"config": asdict(recipe.config)}, tensors, {})
            scores.append(torch.stack([panel(entry, folder, part) for part in split.validation]).mean(0))
    changes = (scores[1] - scores[0]).abs() / scores[0].abs().clamp(min=1e-6)
    told = changes[changes.isfinite()]
    if not len(told):
        raise DataError(f"Scores of {recipe.name}", found="none that is defined")
    return told.max().item()


@torch.inference_mode()
def panel(entry: Method, model: str, slices: Slices, most: int = _SLICES) -> Tensor:
    """(N,) means of the panel's scores over some slices, fused with a model.

    Args:
        entry: the method.
        model: name or folder.
        slices: which.
        most: how many of them, evenly spread.
    """
    rows = []
    for image in slices.images[:: max(1, len(slices.images) // most)][:most]:
        sources = image.float()[None]
        fused = entry.function(sources, model=model).clamp(0, 1)
        names = (name.partition(":") for name in PANEL)
        rows.append(torch.cat([find_metric(name)(fused, sources, pool=pool) for name, _, pool in names]))
    return torch.stack(rows).nanmean(0)
