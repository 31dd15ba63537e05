"""How long a slice of 256 x 256 takes from the wish to the picture, in the live preview.

python -m Testing.benchmarks.preview [METHOD ...]
"""

from __future__ import annotations

import sys
from time import perf_counter, sleep

from MedFusionLib.phantom import head_phantom
from MedFusionLib.preview import Preview, Shown

SLICES = 12


def waited(preview: Preview) -> tuple[float, Shown]:
    """Seconds until the next answer, and it."""
    start = perf_counter()
    while (shown := preview.take()) is None:
        sleep(0.0005)
    return perf_counter() - start, shown


def main(methods: list[str]) -> None:
    """Print the table."""
    volumes = [head_phantom(modality, shape=(40, 256, 256), spacing=(0.8, 0.8, 4)) for modality in ("CT", "MR")]
    preview, grid = Preview(volumes), volumes[0].grid
    print("| method | median ms from the wish to the slice | of it fusing |\n|---|---|---|")
    for method in methods:
        found = []
        for number in range(SLICES + 2):
            preview.ask((grid.affine @ (128, 128, 12 + number, 1))[:3], method=method)
            seconds, shown = waited(preview)
            assert shown.error is None, shown.error
            found.append((seconds, shown.seconds))
        # The first slices wait for the alignment and for torch to be warm.
        total, fusing = (sorted(column)[SLICES // 2] for column in zip(*found[2:], strict=True))
        print(f"| {method} | {1000 * total:.0f} | {1000 * fusing:.0f} |", flush=True)
    preview.close()


if __name__ == "__main__":
    main(sys.argv[1:] or ["average", "laplacian", "dwt", "guided", "nsct_max", "cnn_pyramid"])
