"""Write docs/experiments.md: `python docs/make_experiments.py DATA [OUT]`, about an hour on two cores.

DATA holds slices/aanlib and slices/natural; OUT (build/experiments) keeps checkpoints: what was trained is not trained
again. Scores are those of the patients kept aside of the training ids.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from MedFusionLib.networks._blocks import BLOCKS  # noqa: E402
from MedFusionLib.registry import find_method  # noqa: E402
from MedFusionLib.scoring import PANEL  # noqa: E402
from MedFusionLib.training.loop import CHECKPOINT, CURVE  # noqa: E402
from MedFusionLib.training.pairs import Slices, load_split  # noqa: E402
from MedFusionLib.training.precision import panel  # noqa: E402
from MedFusionLib.training.recipe import recipes  # noqa: E402
from MedFusionLib.training.remake import remake  # noqa: E402
from MedFusionLib.weights import Model  # noqa: E402

PAGE, HEAD = ROOT / "docs" / "experiments.md", ROOT / "docs" / "experiments_head.md"
STEPS = 600
"""Of each network with another block: as many for all."""

STRENGTHS = (0.0, 80_000.0, 8_000_000.0)
AFTER = ("multifocus_lytro", "ivif_tno14")
EACH = 12
"""Slices of a set that are scored."""


def main(data: Path, out: Path) -> None:
    """Train what is not trained yet and write the page."""
    kept = load_split(data / "slices" / "aanlib").validation
    lines = [HEAD.read_text(encoding="utf-8"), *blocks(data, out, kept), "", *forgetting(data, out, kept), ""]
    PAGE.write_text("\n".join(lines), encoding="utf-8")


def blocks(data: Path, out: Path, kept: tuple[Slices, ...]) -> Iterator[str]:
    """DenseFuse with each kind of trunk."""
    yield f"## Trunks of `densefuse`, {STEPS} steps each\n"
    yield f"| block | parameters | minutes | loss | {' | '.join(PANEL)} |"
    yield f"|{'---|' * (4 + len(PANEL))}"
    recipe = recipes()["densefuse"]
    schedule = replace(recipe.schedule, steps=STEPS)
    for block in BLOCKS:
        varied = replace(recipe, config=replace(recipe.config, block=block), schedule=schedule)
        model = remake(varied, data / "slices" / "aanlib", out / "blocks" / block)
        count = sum(each.numel() for each in model.weights().values())
        loss = model.card["measured"]["loss on patients kept aside"]
        yield f"| {block} | {count:,} | {model.card['minutes']} | {loss} | {scores('densefuse', model, kept)} |"


def forgetting(data: Path, out: Path, kept: tuple[Slices, ...]) -> Iterator[str]:
    """U2Fusion after its first task, and after two more with and without consolidation."""
    yield "## What `u2fusion` keeps of its first task\n"
    yield f"| learned | consolidation | loss on the first task | {' | '.join(PANEL)} |"
    yield f"|{'---|' * (3 + len(PANEL))}"
    recipe, first = recipes()["u2fusion"], out / "first"
    slices = data / "slices"
    model = remake(recipe, slices / "aanlib", first)
    told = model.card["measured"]["loss on patients kept aside"]
    yield f"| CT, PET and SPECT with MR | - | {told} | {scores('u2fusion', model, kept)} |"
    for strength in STRENGTHS:
        folder = out / f"strength-{strength:g}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CHECKPOINT, CURVE):
            # The first task is the same: it goes on from there.
            shutil.copyfile(first / name, folder / name)
        further = [slices / "natural" / name for name in AFTER]
        model = remake(recipe, slices / "aanlib", folder, then=further, consolidation=strength)
        told = model.card["measured"]["loss on patients kept aside"]
        yield f"| then {' and '.join(AFTER)} | {strength:g} | {told} | {scores('u2fusion', model, kept)} |"


def scores(method: str, model: Model, kept: tuple[Slices, ...]) -> str:
    """Cells of the panel: means over the sets."""
    import torch

    rows = [panel(find_method(method), str(model.folder), part, EACH) for part in kept]
    return " | ".join(f"{value:.3f}" for value in torch.stack(rows).mean(0).tolist())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(*sys.argv[2:3]) if sys.argv[2:] else ROOT / "build" / "experiments")
