"""Files and DICOM folders -> Volume."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from MedFusionLib.errors import DataError, FileError, ModalityError, ParameterError
from MedFusionLib.files.dicom import is_dicom, read_dicom
from MedFusionLib.files.formats import METAIMAGE, NIFTI, NRRD, PICTURES, stem_of, suffix_of
from MedFusionLib.files.itk import read_itk
from MedFusionLib.files.nifti import read_nifti
from MedFusionLib.files.picture import read_picture
from MedFusionLib.volume import LEVELS, MODALITIES, Grid, Volume, modality_named, unit_of

UNITS = ("HU", "SUV", "Bq/ml", "counts", LEVELS, "a.u.")

_READERS = {
    **dict.fromkeys(NIFTI, read_nifti),
    **dict.fromkeys((*METAIMAGE, *NRRD), read_itk),
    **dict.fromkeys(PICTURES, read_picture),
}


def load_volume(
    path: str | os.PathLike[str], modality: str | None = None, *, name: str | None = None, unit: str | None = None
) -> Volume:
    """Load one volume from a NIfTI, NRRD, MetaImage, PNG, JPEG or TIFF file, or a DICOM series.

    DICOM tells the modality; other files do not, and it is never guessed. CT from DICOM is in HU. PET from DICOM is
    SUVbw where its tags allow, else its own unit with a note in the log "MedFusionLib". CT from another file counts as
    HU only if it goes below 0, an 8-bit picture is in levels (0..255), and other files are in a.u. unless `unit` says
    better.

    Args:
        path: the file; for DICOM the folder of the series or one file of it.
        modality: CT, MR, PET, SPECT or OTHER (overrides what a DICOM file says).
        name: what to call it; the file's name without extension if not given, for DICOM "CT series 4".
        unit: one of `UNITS`, for files that cannot tell it.

    Raises:
        FileError: if the path is missing, of an unknown kind, damaged, truncated, or holds several series.
        ModalityError: if the modality is not told, not supported, or contradicts the file.
        GeometryError: if the slices do not make one grid.
        DataError: if the voxels are not one 3-D image of gray values or 8-bit color.
        ParameterError: if the unit is unknown or contradicts the file.
    """
    path = Path(path).expanduser()
    wanted = None if modality is None else modality_named(modality)
    if unit is not None and unit not in UNITS:
        raise ParameterError(f"Unit of {path}", found=repr(unit), accepted=", ".join(UNITS))
    try:
        if not path.exists():
            raise FileError(f"Load {path}", found="no such file or folder", fix="Check the path")
        volume = _from_dicom(path, wanted, unit) if _holds_dicom(path) else _from_file(path, wanted, unit)
    except OSError as error:
        raise FileError(f"Load {path}", found=f"{error.strerror or error}", fix="Check path and permissions") from error
    return volume if name is None else replace(volume, name=name)


def _holds_dicom(path: Path) -> bool:
    return path.is_dir() or (suffix_of(path) not in _READERS and is_dicom(path))


def _from_dicom(path: Path, modality: str | None, unit: str | None) -> Volume:
    volume = read_dicom(path, modality)
    if unit not in (None, volume.unit):
        raise ParameterError(
            f"Unit of {path}",
            found=repr(unit),
            accepted=f"{volume.unit}, as its DICOM tags say",
            fix="Leave the unit out",
        )
    return volume


def _from_file(path: Path, modality: str | None, unit: str | None) -> Volume:
    suffix = suffix_of(path)
    if suffix not in _READERS:
        raise FileError(
            f"Load {path}",
            found=f"extension {suffix or 'none'} and no DICOM mark",
            accepted=f"{', '.join(_READERS)}, or DICOM",
            fix="Convert the file to one of these",
        )
    if modality is None:
        raise ModalityError(
            f"Which modality is {path}?",
            found="none given, and this kind of file does not tell",
            accepted=", ".join(MODALITIES),
            fix='Say for example --modality CT (in Python modality="CT")',
        )
    voxels, affine = _READERS[suffix](path)
    array = _gray_or_color(voxels, path)
    if unit is None:
        unit = unit_of(array, modality)
    return Volume(array, Grid(array.shape[:3], affine), modality, stem_of(path), unit)


def _gray_or_color(array: np.ndarray, path: Path) -> np.ndarray:
    """(K, J, I) gray or (K, J, I, 3) 8-bit color from voxels of any number of components.

    Full opacity is dropped; color whose channels are all equal is gray.
    """
    if array.ndim == 3:
        return array
    color, count = array, array.shape[3]
    if count in (2, 4) and array.dtype.kind == "u" and (array[..., -1] == np.iinfo(array.dtype).max).all():
        color = array[..., :-1]
    if color.shape[3] in (1, 3) and all((color[..., 0] == color[..., c]).all() for c in range(color.shape[3])):
        return color[..., 0]
    if color.shape[3] != 3 or color.dtype != np.uint8:
        raise DataError(
            f"Voxels of {path}",
            found=f"{count} components of {array.dtype}{' (transparent color?)' if count in (2, 4) else ''}",
            accepted="gray values, or opaque 8-bit RGB",
            fix="Save one component, or flatten the colors to 8-bit RGB",
        )
    return color
