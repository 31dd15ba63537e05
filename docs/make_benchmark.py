"""Write docs/benchmark.md: `python docs/make_benchmark.py DATA [OUT]`.

DATA holds slices/aanlib, slices/peers_outputs and volumes/sts_triplets; OUT (build/benchmark) keeps the tables, the
HTML reports and what is needed to go on after a stop.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from MedFusionLib.benchmark.run import run_benchmark  # noqa: E402
from MedFusionLib.registry import list_methods  # noqa: E402
from Testing.benchmarks import lesions  # noqa: E402

PAGE = ROOT / "docs" / "benchmark.md"
SLOW = ("pulse", "sparse")
"""Families of methods that take seconds a slice: over AANLIB they run, over 139 published images they would take an
hour."""
TASK = ("cnr", "cnr_retention", "auc", "auc_retention", "qabf", "vifp:hm")


def main(data: Path, out: Path) -> None:
    """Run the benchmarks and the phantom's lesions, and write the page."""
    quick = [name for name, entry in list_methods().items() if entry.family not in SLOW]
    run_benchmark(out / "aanlib", thinned(data / "slices", out / "data"))
    run_benchmark(out / "published", None, data / "slices" / "peers_outputs", methods=quick)
    # Volumes take gigabytes each: one at a time.
    run_benchmark(out / "tumors", data / "volumes" / "sts_triplets", methods=lesions.METHODS, metrics=TASK, jobs=1)
    summaries = [(out / name / "summary.md").read_text(encoding="utf-8") for name in ("aanlib", "published", "tumors")]
    parts = [
        (ROOT / "docs" / "benchmark_head.md").read_text(encoding="utf-8"),
        summaries[0],
        "# Beside published images\n",
        summaries[1],
        "# Tumors of seven patients: CT + MR + FDG PET\n",
        summaries[2],
        "# The phantom's lesions\n",
        "Contrast-to-noise and AUC kept (1: as in the best source), by `python -m Testing.benchmarks.lesions`.\n",
        _printed(lesions.main),
    ]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def thinned(slices: Path, folder: Path) -> Path:
    """A view of AANLIB with every fourth of SPECT-MRI's 94 test slices: they are neighbors, of two patients only."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = json.loads((slices / "splits.json").read_text(encoding="utf-8"))
    splits["SPECT-MRI"]["test"] = splits["SPECT-MRI"]["test"][::4]
    (folder / "splits.json").write_text(json.dumps(splits), encoding="utf-8")
    for source in (slices / "aanlib").iterdir():
        link = folder / source.name
        if not link.exists():
            link.symlink_to(source.resolve())
    return folder


def _printed(function: Callable[[], None]) -> str:
    with redirect_stdout(StringIO()) as text:
        function()
    return text.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "build" / "benchmark")
