"""Time and peak memory of the default panel: `python -m Testing.benchmarks.score_speed [pair|volume]`."""

from __future__ import annotations

import sys
from time import perf_counter

import numpy as np

from MedFusionLib.harmonize import align
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse_aligned
from MedFusionLib.scoring import PANEL, evaluate
from Testing.peak import peak_bytes

SIZES = {"pair": (1, 256, 256), "volume": (180, 256, 256)}


def main(kind: str) -> None:
    shape = SIZES[kind]
    aligned = align([head_phantom(modality, shape=shape, spacing=(1, 1, 1)) for modality in ("CT", "MR")])
    fused = fuse_aligned(aligned)
    before = peak_bytes()
    evaluate(fused, aligned, [PANEL[0]])
    runs = []
    for _ in range(5 if kind == "pair" else 1):
        start = perf_counter()
        evaluate(fused, aligned)
        runs.append(perf_counter() - start)
    print(f"panel with its guards, {kind} {shape}: {np.median(runs):.3f} s")
    print(f"peak {peak_bytes() / 2**30:.2f} GB, {before / 2**30:.2f} GB before scoring")
    for name in PANEL:
        start = perf_counter()
        evaluate(fused, aligned, [name])
        print(f"  {name:<10} {perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main(*sys.argv[1:] or ["pair"])
