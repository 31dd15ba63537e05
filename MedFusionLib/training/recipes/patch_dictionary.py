"""The dictionary of `sparse` and `sparse_multiscale`: 256 atoms for 8 x 8 patches, by K-SVD from brain images.

    python -m MedFusionLib.training.recipes.patch_dictionary DATA

DATA is the folder of slices (aanlib/ and splits.json). Ids of `train` only are read; of these, the patients of
`HELD_OUT` are left for the measurement. Three minutes on one core.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections import defaultdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from MedFusionLib.harmonize.color import luma, uptake_of
from MedFusionLib.load import load_volume
from MedFusionLib.training.ksvd import learn
from MedFusionLib.transforms.patches import unfold
from MedFusionLib.transforms.sparse_coding import PATCH, code, decode, overcomplete_dct
from MedFusionLib.weights import MODELS, save_model

NAME = "patch_dictionary"
HELD_OUT = ("P28", "P33", "FDGglioma_adcp")
SEED, ATOMS, MOST, ITERATIONS, PATCHES, MEASURED = 0, 256, 8, 30, 20_000, 4_000
LEAST_DEVIATION = 4 / 255

_PAIRS = {"CT-MRI": ("CT", "MRI"), "PET-MRI": ("PET", "MRI"), "SPECT-MRI": ("SPECT", "MRI")}

CARD: dict[str, Any] = {
    "name": NAME,
    "title": "Dictionary of brain image patches",
    "what": "256 unit-norm atoms (`atoms`, 64 x 256) for 8 x 8 patches whose mean is taken off",
    "input": "gray images in [0, 1]; of PET and SPECT the uptake; patches row by row, without their mean",
    "recipe": f"python -m MedFusionLib.training.recipes.{NAME} DATA",
    "seed": SEED,
    "config": {
        "algorithm": "K-SVD, orthogonal matching pursuit",
        "atoms of a code": MOST,
        "iterations": ITERATIONS,
        "least standard deviation of a patch": "4 of 255 gray levels",
    },
    "use": "comparing how much structure patches of registered medical images hold, for fusion",
    "limits": "learned from brain slices of 256 x 256; finer or coarser images, other organs and other kinds of images "
    "are coded less sparsely. No diagnostic use",
}


def main(data: Path, models: Path = MODELS) -> None:
    """Learn, measure, and write the model's folder."""
    start = perf_counter()
    kept, held = patches_of(data, held_out=False), patches_of(data, held_out=True)
    signals = drawn(kept, PATCHES)
    atoms = learn(signals, ATOMS, MOST, ITERATIONS, SEED, lambda n, error: print(f"{n:3d}  {255 * error:.3f}"))
    facts = {
        "data": {
            "what": f"{PATCHES} patches of CT, MR, PET and SPECT slices, as many of each",
            "source": "The Whole Brain Atlas (AANLIB, K. A. Johnson, J. A. Becker), train ids",
            "licence": "research use; the images are not part of this repository",
            "split_sha256": hashlib.sha256((data / "splits.json").read_bytes()).hexdigest(),
            "held-out patients": list(HELD_OUT),
        },
        "hardware": f"CPU, threads: {torch.get_num_threads()}, torch {torch.__version__}, {platform.machine()}",
        "measured": measured(atoms, drawn(held, MEASURED)),
        "minutes": round((perf_counter() - start) / 60, 1),
    }
    save_model(models / NAME, {**CARD, **facts}, {"atoms": atoms.float()}, golden(atoms.float()))


def patches_of(data: Path, held_out: bool) -> dict[str, Tensor]:
    """Patches (n, 64) with structure, without their mean, of each modality of the train ids: some of every image."""
    splits = json.loads((data / "splits.json").read_text(encoding="utf-8"))
    files = defaultdict(list)
    for pair, modalities in _PAIRS.items():
        for name in splits[pair]["train"]:
            if (splits[pair]["case"][name] in HELD_OUT) == held_out:
                for modality in modalities:
                    files[modality].append(data / "aanlib" / pair / modality / f"{name}.png")
    generator = torch.Generator().manual_seed(SEED)
    return {kind: _of_images(paths, PATCHES // 4, generator) for kind, paths in sorted(files.items())}


def _of_images(paths: list[Path], count: int, generator: torch.Generator) -> Tensor:
    share = -(-count // len(paths))
    parts = []
    for path in paths:
        patches = unfold(gray(path)[None, None], PATCH, 1)[0, 0].T
        busy = patches[patches.std(1, correction=0) > LEAST_DEVIATION]
        parts.append(busy[torch.randperm(len(busy), generator=generator)[:share]])
    every = torch.cat(parts)
    return every - every.mean(1, keepdim=True)


def gray(path: Path) -> Tensor:
    """(H, W) float64 in [0, 1]: what fusion methods see of a slice, uptake where its colors are known."""
    array = load_volume(path, "MR" if path.parent.name == "MRI" else path.parent.name).array
    if array.ndim == 4:
        known = uptake_of(array)
        array = known[0] if known else luma(array / np.float32(255))
        return torch.from_numpy(np.asarray(array, dtype=np.float64)[0])
    return torch.from_numpy(np.asarray(array, dtype=np.float64)[0] / 255)


def drawn(patches: dict[str, Tensor], count: int) -> Tensor:
    """`count` patches, as many of each modality as there are."""
    generator = torch.Generator().manual_seed(SEED)
    share = count // len(patches)
    return torch.cat([kind[torch.randperm(len(kind), generator=generator)[:share]] for kind in patches.values()])


def measured(atoms: Tensor, signals: Tensor) -> dict[str, Any]:
    """Root-mean-square residual on held-out patients' patches, in gray levels, beside the cosine dictionary's."""
    result: dict[str, Any] = {"patches": len(signals), "of": "held-out patients, as many of each modality"}
    for name, words in (("learned", atoms), ("dct", overcomplete_dct(PATCH, 16))):
        for most in (4, 8, 16):
            left = signals - decode(*code(signals, words, most), words)
            result[f"residual of {most} atoms, {name}"] = round(255 * float(left.square().mean().sqrt()), 3)
    return result


def golden(atoms: Tensor) -> dict[str, Tensor]:
    """Made-up patches and what a code of 8 atoms says of them."""
    generator = torch.Generator().manual_seed(SEED)
    mixed = torch.randn((32, 24), generator=generator, dtype=torch.float64)
    signals = decode(torch.randint(ATOMS, (32, 24), generator=generator), 0.05 * mixed, atoms.double())
    words = atoms.double() / atoms.double().norm(dim=0)
    signals = signals.float()
    return {"input": signals, "output": decode(*code(signals.double(), words, MOST), words).float()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
