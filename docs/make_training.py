"""Write docs/training.md: `python docs/make_training.py DATA [OUT]`, and tell the cards where their models stand.

DATA holds slices/aanlib; OUT (build/training) keeps the benchmark's tables and what is needed to go on after a stop.
"""

from __future__ import annotations

import csv
import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from MedFusionLib.benchmark.report import ALL_GROUPS  # noqa: E402
from MedFusionLib.benchmark.run import run_benchmark  # noqa: E402
from MedFusionLib.registry import list_methods  # noqa: E402
from MedFusionLib.training.curves import draw  # noqa: E402
from MedFusionLib.training.loop import CURVE  # noqa: E402
from MedFusionLib.training.recipe import recipes  # noqa: E402
from MedFusionLib.weights import CARD, list_models  # noqa: E402

PAGE, PICTURE = ROOT / "docs" / "training.md", ROOT / "docs" / "pictures" / "training-curves.png"
BESIDE = ("average", "laplacian")
"""Methods that were not learned, to compare with."""

KEPT = ("vifp:min", "qabf:min")
"""What is kept of the source that fares worse."""

SOURCES = {
    "aanlib": ("AANLIB (Harvard Whole Brain Atlas), train ids", "research use"),
    "multifocus_lytro": ("Lytro multi-focus pairs, as in github.com/uzeful/IFCNN", "none stated"),
    "ivif_tno14": ("fourteen TNO pairs, as in github.com/uzeful/IFCNN", "none stated"),
}
"""Of the folders that shipped models learned from: what they hold, and under which licence."""

Scores = dict[tuple[str, str, str], float]
"""Means by set, method and metric."""


def main(data: Path, out: Path) -> None:
    """Run the benchmark of the learned methods, write the page and complete the cards."""
    thinned = runpy.run_path(str(ROOT / "docs" / "make_benchmark.py"))["thinned"]
    learned = {name: entry.model for name, entry in list_methods().items() if entry.model in recipes()}
    folder = out / "aanlib"
    run_benchmark(folder, thinned(data / "slices", out / "data"), methods=[*BESIDE, *learned])
    scores, ranks = read_scores(folder), read_ranks(folder)
    for method, model in learned.items():
        complete(model, method, scores, ranks)
    draw([model.folder for model in list_models() if (model.folder / CURVE).is_file()], PICTURE)
    parts = [
        (ROOT / "docs" / "training_head.md").read_text(encoding="utf-8"),
        *models(),
        "\n![Losses of each training](pictures/training-curves.png)\n",
        *kept(learned, scores),
        "\n## Scores on the test ids\n",
        (folder / "summary.md").read_text(encoding="utf-8"),
    ]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def read_scores(folder: Path) -> Scores:
    """The benchmark's means."""
    with (folder / "summary.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["mean"]]
    return {(row["group"], row["method"], row["metric"]): float(row["mean"]) for row in rows}


def read_ranks(folder: Path) -> dict[str, float]:
    """Mean ranks over the sets, by method."""
    with (folder / "ranks.csv").open(encoding="utf-8") as file:
        return {row["method"]: float(row["mean_rank"]) for row in csv.DictReader(file) if row["group"] == ALL_GROUPS}


def shares(method: str, scores: Scores) -> dict[str, float]:
    """By set, the smaller share of what the average keeps of the source that fares worse."""
    groups = dict.fromkeys(group for group, *_ in scores)
    return {
        group: min(scores[group, method, metric] / scores[group, "average", metric] for metric in KEPT)
        for group in groups
    }


def complete(model: str, method: str, scores: Scores, ranks: dict[str, float]) -> None:
    """Tell a card where its model stands."""
    path = ROOT / "MedFusionLib" / "models" / model / CARD
    card = json.loads(path.read_text(encoding="utf-8"))
    for task in (card["data"], *card.get("then", [])):
        task["source"], task["licence"] = SOURCES[task["folder"]]
    stands = ", ".join(f"{'ahead of' if ranks[method] < ranks[name] else 'behind'} {name}" for name in BESIDE)
    card["on test ids"] = {
        "stands": f"{stands} in mean rank over the default panel",
        "mean rank": {name: round(ranks[name], 2) for name in (method, *BESIDE)},
        "kept of the weaker source, as a share of what average keeps": {
            group: round(share, 2) for group, share in shares(method, scores).items()
        },
        "command": "python docs/make_training.py DATA",
    }
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def models() -> Iterator[str]:
    """A table of the cards, a row a network."""
    yield "## The models\n"
    yield (
        "| model | network | parameters | train slices | steps | minutes | hardware | loss on patients kept aside "
        "| largest change of a score by half precision |"
    )
    yield f"|{'---|' * 9}"
    known = recipes()
    for model in list_models():
        if model.name not in known:
            continue
        card = model.card
        count = sum(each.numel() for each in model.weights().values())
        measured = card["measured"]
        moved = measured.get("largest change of a panel score by half precision")
        yield (
            f"| `{model.name}` | {card['what']} | {count:,} | {_slices(card)} | {measured['steps']} "
            f"| {card['minutes']} | {card['hardware']} | {measured['loss on patients kept aside']} "
            f"| {'no method runs it' if moved is None else f'{moved:.2%}'} |"
        )


def _slices(card: dict) -> str:
    """Slices of each task."""
    counts = []
    for task in (card["data"], *card.get("then", [])):
        counts.append(sum(int(text.split()[0]) for name, text in task["what"].items() if name.endswith("train")))
    return ", then ".join(map(str, counts))


def kept(learned: dict[str, str], scores: Scores) -> Iterator[str]:
    """A table of what each method keeps of the weaker source."""
    groups = list(shares("average", scores))
    yield "## What is kept of the weaker source\n"
    yield "The smaller of VIFp and Q^AB/F of the source that fares worse, as a share of what `average` keeps of it; a"
    yield "network below one half has all but lost a source.\n"
    yield f"| method | {' | '.join(groups)} |"
    yield f"|{'---|' * (1 + len(groups))}"
    for method in (*BESIDE, *learned):
        found = shares(method, scores)
        yield f"| {method} | {' | '.join(f'{found[group]:.2f}' for group in groups)} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(*sys.argv[2:3]) if sys.argv[2:] else ROOT / "build" / "training")
