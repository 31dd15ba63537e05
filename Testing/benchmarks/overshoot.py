"""How much brighter than its sources the pyramid's result gets, by low-pass rule: the table of docs/decisions/0004.

python -m Testing.benchmarks.overshoot FOLDER_OF_IMAGES
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from MedFusionLib.harmonize import align
from MedFusionLib.load import load_volume
from MedFusionLib.methods.laplacian import laplacian
from MedFusionLib.params import parameters_of
from MedFusionLib.pipeline import fuse_aligned

PAIRS = {
    "MR + PET": (("mni2mm/MR_T1_colin27", "MR"), ("mni2mm/PET_FDG_cn116", "PET")),
    "CT + MR": (("sts_triplets/STS_033/CT_image", "CT"), ("sts_triplets/STS_033/MR_T1_image", "MR")),
    "inverse MR + MR": (("oblique/someones_epi", "MR"), ("oblique/someones_anatomy", "MR")),
}
BRIGHTER = 0.1


def main() -> None:
    folder = Path(sys.argv[1]) / "volumes"
    for name, files in PAIRS.items():
        aligned = align([load_volume(folder / f"{file}.nii.gz", modality) for file, modality in files])
        brightest = np.max([volume.array for volume in aligned.volumes], 0)
        for rule in parameters_of(laplacian)["low"].bounds.options:
            fused = fuse_aligned(aligned, parameters={"low": rule}).volume.array
            share = ((fused - brightest)[aligned.mask] > BRIGHTER).mean()
            print(f"{name:<16} {rule:<8} {share:.1%}")


if __name__ == "__main__":
    main()
