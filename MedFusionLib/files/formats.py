"""Which file formats there are, and what their readers share."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np

from MedFusionLib.errors import DataError

NIFTI = (".nii", ".nii.gz")
METAIMAGE = (".mha", ".mhd")
NRRD = (".nrrd", ".nhdr")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""SimpleITK and DICOM point to the patient's left and back, Grid to the right and front."""


def suffix_of(path: Path) -> str:
    """The extension in lower case; `.nii.gz` counts as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def stem_of(path: Path) -> str:
    """The file name without its extension."""
    return path.name[: len(path.name) - len(suffix_of(path))]


def refuse_frames(path: Path, sizes: tuple[int, ...]) -> NoReturn:
    """Raise the DataError for a file that holds more than one volume.

    Args:
        path: the file.
        sizes: number of voxels along all its axes, i first.
    """
    frames = int(np.prod(sizes[3:]))
    raise DataError(
        f"Volume {path}",
        found=f"{len(sizes)}-D data of size {' x '.join(map(str, sizes))}: {frames} frames",
        accepted="one 3-D volume",
        fix="Save one frame (or their mean) as a file of its own",
    )
