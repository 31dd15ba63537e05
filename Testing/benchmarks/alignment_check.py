"""How far the alignment check tells registered pairs from moved ones: the table of docs/decisions/0002.

python -m Testing.benchmarks.alignment_check FOLDER_OF_IMAGES
"""

from __future__ import annotations

import logging
import sys
from itertools import combinations
from pathlib import Path
from unittest import mock

import numpy as np

from MedFusionLib.harmonize import align, check
from MedFusionLib.load import load_volume
from MedFusionLib.volume import Grid, Volume

MOVES = ((0, 0, 0), (15, 0, 0), (0, 0, 20), (9, 9, 9))
TEMPLATES = {
    "CT_scct_HU_derived": "CT",
    "MR_T1_colin27": "MR",
    "PET_FDG_cn116": "PET",
    "SPECT_HMPAO_rasflip": "SPECT",
    "MR_T2": "MR",
}


def families(folder: Path) -> list[list[Volume]]:
    """Volumes that belong together."""
    names = {"CT_image": "CT", "MR_T1_image": "MR", "PET_image": "PET"}
    patients = sorted((folder / "sts_triplets").iterdir())
    found = [[load_volume(patient / f"{n}.nii.gz", m) for n, m in names.items()] for patient in patients]
    found.append([load_volume(folder / "mni2mm" / f"{n}.nii.gz", m) for n, m in TEMPLATES.items()])
    phantom = folder / "ct_spect_phantom15"
    found.append(
        [load_volume(phantom / "CT_HU.nii.gz", "CT"), load_volume(phantom / "SPECT_simulated.nii.gz", "SPECT")]
    )
    return found


def gain(one: Volume, other: Volume, move: tuple[int, int, int]) -> float:
    """What the best shift would gain, of which the check tells from `check._GAIN` on."""
    affine = other.grid.affine.copy()
    affine[:3, 3] += move
    moved = Volume(other.array, Grid(other.grid.shape, affine), other.modality, unit=other.unit)
    with mock.patch.multiple(check, _GAIN=1.0, _LEAST=-1.0):
        aligned = align([one, moved])
        a, b = (volume.array for volume in aligned.volumes)
        return check.misalignment(a, b, aligned.fields.all(0), aligned.grid.spacing)[1]


def main() -> None:
    logging.disable(logging.WARNING)
    pairs = [pair for family in families(Path(sys.argv[1]) / "volumes") for pair in combinations(family, 2)]
    for move in MOVES:
        gains = np.array([gain(*pair, move) for pair in pairs])
        spread = f"median {np.median(gains):.2f}, {gains.min():.2f} to {gains.max():.2f}"
        print(f"{len(pairs)} pairs moved {move} mm: {spread}, told {(gains >= check._GAIN).mean():.0%}")


if __name__ == "__main__":
    main()
