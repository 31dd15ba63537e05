"""A DICOM series as one Volume: headers by pydicom, pixels by SimpleITK (GDCM knows every compression).

Only the tags listed here are read: names and descriptions of patients never come into memory.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from MedFusionLib.errors import FileError, ModalityError
from MedFusionLib.files.dicom_slices import Frame, affine_of, frames_of, stacked
from MedFusionLib.files.formats import LPS_TO_RAS
from MedFusionLib.files.itk import quiet_itk, reason
from MedFusionLib.files.suv import SUV_TAGS, pet_factor_and_unit
from MedFusionLib.volume import MODALITIES, Grid, Volume, modality_named

if TYPE_CHECKING:
    from pydicom import Dataset

_TAGS = (
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SliceVector",
    "DetectorInformationSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *SUV_TAGS,
)


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's mark."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_dicom(path: Path, modality: str | None) -> Volume:
    """The one series in a folder, or the series that a file belongs to.

    Args:
        path: the folder, or a file of the series.
        modality: what the user says it is: it must agree with the file, selects among several series, and as OTHER
            overrides the file.

    Raises:
        FileError: if there is no image, a damaged one, or more than one series.
        ModalityError: if the modality is not supported or contradicts the user.
        GeometryError: if the slices do not make an even, parallel stack, or their place is not told.
        DataError: if there is more than one image at a place.
    """
    from pydicom.config import disable_value_validation

    # Many a scanner writes "1993.11.24" or an overlong number: what counts is whether it can be understood.
    with disable_value_validation():
        series = _series(path, modality)
        headers = list(series.values())
        kind = _modality(headers[0], modality, path)
        number = headers[0].get("SeriesNumber")
        name = f"{kind} series {number}" if number is not None else f"{kind} series"
        frames = stacked([frame for file, header in series.items() for frame in frames_of(file, header, name)], name)
        array = _pixels(frames, headers[0])
        unit = "a.u." if array.ndim == 4 else {"CT": "HU", "SPECT": "counts"}.get(kind, "a.u.")
        if kind == "PET" and array.ndim == 3:
            factor, unit = pet_factor_and_unit(headers, name)
            array *= np.float32(factor)
        grid = Grid(array.shape[:3], LPS_TO_RAS @ affine_of(frames, headers[0]))
    return Volume(array, grid, kind, name, unit)


def series_in(folder: Path) -> dict[str, dict[Path, Dataset]]:
    """The series in a folder by their UID: the headers of each by file.

    Raises:
        FileError: if a file is damaged.
    """
    found: dict[str, dict[Path, Dataset]] = {}
    for file in sorted(folder.iterdir()):
        header = _image_header(file)
        if header is not None:
            found.setdefault(str(header.get("SeriesInstanceUID", "")), {})[file] = header
    return found


def _series(path: Path, modality: str | None) -> dict[Path, Dataset]:
    """The headers of one series by file."""
    found = series_in(path if path.is_dir() else path.parent)
    if not path.is_dir():
        found = {uid: series for uid, series in found.items() if path in series}
    if not found:
        raise FileError(
            f"DICOM images in {path}",
            found="none",
            accepted="the files of one series",
            fix="Give the folder that holds them; folders inside it are not searched",
        )
    if len(found) == 1:
        return next(iter(found.values()))
    chosen = [series for series in found.values() if _tagged(series) == modality]
    if modality and len(chosen) == 1:
        return chosen[0]
    raise FileError(
        f"DICOM folder {path}",
        found=f"{len(found)} series: " + "; ".join(sorted(map(_described, found.values()))),
        accepted="one series",
        fix="Give one file of the wanted series, or a modality that only one of them has",
    )


def _image_header(file: Path) -> Dataset | None:
    """The header of a DICOM image; None for any other file (DICOMDIR, RTSTRUCT, notes)."""
    import pydicom

    if not file.is_file() or not is_dicom(file):
        return None
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        header.walk(lambda place, element: element.value)  # values are parsed when they are asked for: all now
    except (OSError, EOFError, ValueError, struct.error, pydicom.errors.InvalidDicomError) as error:
        raise FileError(f"DICOM file {file}", found=f"{error}", fix="It is damaged: copy or export it again") from error
    return header if header.get("Rows") else None


def _tagged(series: dict[Path, Dataset]) -> str | None:
    tag = str(next(iter(series.values())).get("Modality", ""))
    try:
        return modality_named(tag)
    except ModalityError:
        return None


def _described(series: dict[Path, Dataset]) -> str:
    header = next(iter(series.values()))
    return f"number {header.get('SeriesNumber')} ({header.get('Modality')}, {len(series)} files)"


def _modality(header: Dataset, wanted: str | None, path: Path) -> str:
    tag = str(header.get("Modality") or "missing")
    if wanted == "OTHER" or (wanted and tag == "missing"):
        return wanted
    told = _tagged({path: header})
    if told is None:
        raise ModalityError(
            f"Modality of {path}",
            found=f"DICOM tag {tag}",
            accepted="CT, MR, PT, NM",
            fix='To load it as it is, say --modality OTHER (in Python modality="OTHER")',
        )
    if wanted not in (None, told):
        raise ModalityError(
            f"Load {path} as {wanted}",
            found=f"DICOM tag {tag}, that is {told}",
            accepted=f"{told} or OTHER, of {', '.join(MODALITIES)}",
            fix="Leave the modality out, or give the other file",
        )
    return told


def _pixels(frames: Sequence[Frame], header: Dataset) -> np.ndarray:
    """Rescaled pixels of the frames, (K, J, I) float32 or (K, J, I, 3) uint8."""
    import SimpleITK as sitk

    color = int(header.get("SamplesPerPixel") or 1) == 3
    size = (int(header.Rows), int(header.Columns), *([3] if color else []))
    array = np.empty((len(frames), *size), np.uint8 if color else np.float32)
    slots: dict[Path, list[int]] = {}
    for k, frame in enumerate(frames):
        slots.setdefault(frame.file, []).append(k)
    for file, own in slots.items():
        try:
            with quiet_itk():
                image = sitk.ReadImage(str(file), sitk.sitkVectorUInt8 if color else sitk.sitkFloat32)
        except RuntimeError as error:
            raise FileError(f"Pixels of {file}", found=reason(error), fix="Copy or export it again") from error
        pixels = sitk.GetArrayFromImage(image)
        if pixels.shape != (len(own), *size):
            raise FileError(f"Pixels of {file}", found=pixels.shape, accepted=f"{(len(own), *size)} as in the series")
        for k in own:
            array[k] = pixels[frames[k].index]
    return array
