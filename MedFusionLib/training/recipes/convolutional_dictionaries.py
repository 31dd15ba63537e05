"""Learn the filters of `csr`, `csmca` and `deconvolutional`.

    python -m MedFusionLib.training.recipes.convolutional_dictionaries DATA

DATA is the folder of slices (aanlib/ and splits.json). A quarter of an hour on two cores.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from MedFusionLib.load import load_volume
from MedFusionLib.training.convolutional import learn_filters
from MedFusionLib.transforms.convolutional import MODEL, cosine_filters, decode, encode, objective, smooth_base
from MedFusionLib.transforms.guided import guided_filter
from MedFusionLib.weights import MODELS, save_model

SEED, EACH, ROUNDS = 0, 2, 20
SETS = (("CT-MRI", ("CT", "MRI")), ("PET-MRI", ("PET", "MRI")), ("SPECT-MRI", ("SPECT", "MRI")))
_CENTER = slice(64, 192)


def learn(data: Path) -> dict[str, Tensor]:
    """The four dictionaries by name, (32, 8, 8) each; progress goes to standard output."""
    torch.manual_seed(SEED)
    images = _images(data)
    details = _centers(images - smooth_base(images, 5.0))
    first = _learned("details", details, 0.01)
    coarse = _centers(images - smooth_base(images, 60.0))
    # What an edge-preserving filter keeps of the details is cartoon; texture is the rest.
    cartoon = guided_filter(coarse, coarse, 4, 0.01, (2, 3)).float()
    return {
        "details": first,
        "cartoon": _learned("cartoon", cartoon, 0.05),
        "texture": _learned("texture", coarse - cartoon, 0.005),
        "arrangement": _learned("arrangement", _pooled(details, first), 0.01),
    }


def _images(data: Path, seed: int = SEED) -> Tensor:
    """(N, 1, 256, 256) luma in [0, 1] of training images, as many of each kind."""
    splits = json.loads((data / "splits.json").read_text(encoding="utf-8"))
    chosen, pick = [], random.Random(seed)
    for name, modalities in SETS:
        for modality in modalities:
            for each in pick.sample(splits[name]["train"], EACH):
                array = load_volume(data / "aanlib" / name / modality / f"{each}.png", "OTHER").array
                gray = array if array.ndim == 3 else array @ [0.299, 0.587, 0.114]
                chosen.append(torch.from_numpy(gray.copy()).float() / 255)
    return torch.stack(chosen)


def _centers(images: Tensor) -> Tensor:
    return images[:, :, _CENTER, _CENTER]


def _pooled(details: Tensor, filters: Tensor) -> Tensor:
    """(N, 1, 32, 32): what the second layer sees."""
    maps = encode(details[:, 0], filters, 0.01).abs()
    pooled = torch.nn.functional.max_pool2d(maps, 4).sum(1, keepdim=True)
    return pooled - pooled.mean((2, 3), keepdim=True)


def _learned(name: str, images: Tensor, sparsity: float) -> Tensor:
    return learn_filters(
        list(images[:, 0]),
        cosine_filters(),
        sparsity,
        rounds=ROUNDS,
        report=lambda number, objective: print(f"{name} {number} {objective:.4f}", flush=True),
    )


def main(data: Path) -> None:
    """Learn, measure, and write the model's folder."""
    start = perf_counter()
    filters = learn(data)
    minutes = (perf_counter() - start) / 60
    split = hashlib.sha256((data / "splits.json").read_bytes()).hexdigest()
    save_model(MODELS / MODEL, card(data, filters, minutes, split), filters, golden(filters["details"]))


def card(data: Path, filters: dict[str, Tensor], minutes: float, split: str) -> dict[str, object]:
    """What the model is and where it came from."""
    details = _centers(_images(data, SEED + 1))
    details = details - smooth_base(details, 5.0)
    return {
        "name": MODEL,
        "title": "Filters for convolutional sparse coding",
        "what": "Four dictionaries of 32 filters of 8 x 8 for csr, csmca and deconvolutional",
        "input": "images in [0, 1] less a smooth base; arrangement: maps of details, the largest of 4 x 4, summed",
        "data": {
            "what": f"{EACH} slices each of CT, PET, SPECT and three sets of MR, 128 x 128 from the middle",
            "source": "AANLIB (Harvard Whole Brain Atlas), train ids",
            "licence": "research use; the images are not part of this repository",
            "split_sha256": split,
        },
        "recipe": f"python -m MedFusionLib.training.recipes.{MODEL} DATA",
        "seed": SEED,
        "hardware": "2 CPU cores",
        "minutes": round(minutes, 1),
        "measured": {
            "objective on other train slices, learned": _mean_objective(details, filters["details"]),
            "the same, cosines": _mean_objective(details, cosine_filters()),
        },
        "use": "dictionaries of the methods named above",
        "limits": "learned from brain slices of 256 x 256; other resolutions have details of another scale",
    }


def golden(filters: Tensor) -> dict[str, Tensor]:
    """A small image and what its code gives back."""
    place = torch.arange(48, dtype=torch.float32)
    image = 0.2 * torch.sin(place / 3)[:, None] * torch.cos(place / 2 + (place / 9).sin()[:, None])
    return {"image": image, "decoded": decode(encode(image[None], filters, 0.01), filters)[0]}


def _mean_objective(details: Tensor, filters: Tensor) -> float:
    images = details[:, 0]
    return round(objective(images, encode(images, filters, 0.01), filters, 0.01) / len(images), 4)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
