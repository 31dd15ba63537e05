"""Write docs/benchmark.md: `python docs/make_benchmark.py DATA [OUT]`.

DATA holds slices/aanlib, slices/peers_outputs and volumes/sts_triplets; OUT (build/benchmark) keeps the tables, the
HTML reports and what is needed to go on after a stop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from MedFusionLib.benchmark.run import run_benchmark  # noqa: E402
from Testing.benchmarks import lesions  # noqa: E402

PAGE = ROOT / "docs" / "benchmark.md"
TASK = ("cnr", "cnr_retention", "auc", "auc_retention", "qabf", "vifp:hm")


def main(data: Path, out: Path) -> None:
    """Run both benchmarks and the phantom's lesions, and write the page."""
    slices, volumes = out / "slices", out / "tumors"
    run_benchmark(slices, data / "slices" / "aanlib", data / "slices" / "peers_outputs")
    # Volumes take gigabytes each: one at a time.
    run_benchmark(volumes, data / "volumes" / "sts_triplets", metrics=TASK, jobs=1)
    parts = [
        (ROOT / "docs" / "benchmark_head.md").read_text(encoding="utf-8"),
        (slices / "summary.md").read_text(encoding="utf-8"),
        "# Tumors of seven patients: CT + MR + FDG PET\n",
        (volumes / "summary.md").read_text(encoding="utf-8"),
        "# The phantom's lesions\n",
        "Contrast-to-noise and AUC kept (1: as in the best source), by `python -m Testing.benchmarks.lesions`.\n",
        _printed(lesions.main),
    ]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def _printed(function: Callable[[], None]) -> str:
    with redirect_stdout(StringIO()) as text:
        function()
    return text.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "build" / "benchmark")
