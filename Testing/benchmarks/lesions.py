"""How well each method keeps the phantom's four lesions: `python -m Testing.benchmarks.lesions`.

Each lesion shows in one modality only; the head is fused from the two or three modalities of each line, and the scores
tell what is left of the lesion (1: as in the best source, 0: gone).
"""

from __future__ import annotations

import numpy as np

from MedFusionLib._head import LABELS
from MedFusionLib.harmonize import align
from MedFusionLib.phantom import head_labels, head_phantom
from MedFusionLib.pipeline import fuse_aligned
from MedFusionLib.scoring import evaluate
from MedFusionLib.volume import Volume

METHODS = ("average", "weighted", "maximum", "two_scale", "laplacian", "dwt", "guided", "pca")
"""Those that fuse a volume in seconds."""

_FUSED = (("CT", "MR"), ("MR", "PET"), ("MR", "SPECT"), ("CT", "MR", "PET"))
_SHAPE, _SPACING = (60, 128, 108), (1.5, 1.5, 1.5)
"""The slab of the head around its lesions."""


def main() -> None:
    grid = head_phantom("MR", shape=_SHAPE, spacing=_SPACING).grid
    labels = head_labels(grid)
    columns = [(names, lesion) for names in _FUSED for lesion in names]
    sets = {names: align([head_phantom(name, grid=grid) for name in names]) for names in _FUSED}
    print("| method | " + " | ".join(f"{'+'.join(names)}: {lesion}" for names, lesion in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for method in METHODS:
        fused = {names: fuse_aligned(aligned, method=method) for names, aligned in sets.items()}
        cells = []
        for names, lesion in columns:
            marked = Volume((labels == LABELS[f"lesion_{lesion}"]).astype(np.float32), grid, "OTHER", lesion)
            kept = evaluate(fused[names], sets[names], ["cnr_retention", "auc_retention"], label=marked)
            cells.append(f"{kept['cnr_retention'].value:.2f} / {kept['auc_retention'].value:.2f}")
        print(f"| {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
