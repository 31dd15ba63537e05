"""Write docs/training.md: `python docs/make_training.py DATA [OUT]`.

DATA holds slices/aanlib; OUT (build/training) keeps the benchmark's tables and what is needed to go on after a stop.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from MedFusionLib.benchmark.run import run_benchmark  # noqa: E402
from MedFusionLib.registry import list_methods  # noqa: E402
from MedFusionLib.training.recipe import recipes  # noqa: E402
from MedFusionLib.weights import list_models  # noqa: E402

PAGE = ROOT / "docs" / "training.md"
BESIDE = ("average", "laplacian")
"""Methods that were not learned, to compare with."""


def main(data: Path, out: Path) -> None:
    """Run the benchmark of the learned methods and write the page."""
    thinned = runpy.run_path(str(ROOT / "docs" / "make_benchmark.py"))["thinned"]
    learned = [name for name, entry in list_methods().items() if entry.model]
    run_benchmark(out / "aanlib", thinned(data / "slices", out / "data"), methods=[*BESIDE, *learned])
    head = (ROOT / "docs" / "training_head.md").read_text(encoding="utf-8")
    scores = (out / "aanlib" / "summary.md").read_text(encoding="utf-8")
    PAGE.write_text("\n".join([head, *models(), "\n## Scores on the test ids\n", scores]), encoding="utf-8")


def models() -> Iterator[str]:
    """A table of the cards, a row a network."""
    yield "## The models\n"
    yield "| model | network | parameters | train slices | steps | minutes | hardware | loss on patients kept aside |"
    yield "|---|---|---|---|---|---|---|---|"
    known = recipes()
    for model in list_models():
        if model.name not in known:
            continue
        card = model.card
        count = sum(each.numel() for each in model.weights().values())
        slices = sum(int(text.split()[0]) for name, text in card["data"]["what"].items() if name.endswith("train"))
        measured = card["measured"]
        yield (
            f"| `{model.name}` | {card['what']} | {count:,} | {slices} | {measured['steps']} | {card['minutes']} "
            f"| {card['hardware']} | {measured['loss on patients kept aside']} |"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(*sys.argv[2:3]) if sys.argv[2:] else ROOT / "build" / "training")
