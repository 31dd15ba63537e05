"""NRRD and MetaImage files, by SimpleITK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from MedFusionLib.errors import DataError, FileError
from MedFusionLib.files.formats import LPS_TO_RAS, refuse_frames
from MedFusionLib.volume import Volume


@contextmanager
def quiet_itk() -> Iterator[None]:
    """ITK's remarks on odd headers stay off the user's terminal; its errors are raised as before."""
    import SimpleITK as sitk

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def reason(error: RuntimeError) -> str:
    """The sentence of an ITK error, without the source lines and addresses before it."""
    # "Reason:" is the last error of the system, whatever it was about.
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Reason:" not in line]
    return lines[-1].removeprefix("sitk::ERROR: ").removeprefix("ITK ERROR: ") if lines else "no reason given"


def read_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (K, J, I) or (K, J, I, C) and the RAS affine of an NRRD or MetaImage file.

    Args:
        path: the file, or the header of one with its voxels beside.

    Raises:
        FileError: if it is of another format, damaged or truncated.
        DataError: if it holds several volumes, or complex voxels.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            reader.ReadImageInformation()
            sizes = reader.GetSize()
            if np.prod(sizes[3:]) > 1:
                refuse_frames(path, sizes)
            image = reader.Execute()
    except RuntimeError as error:
        raise FileError(
            f"Image file {path}", found=reason(error), fix="It is damaged, truncated or of another format"
        ) from error
    array = sitk.GetArrayFromImage(image)
    if array.dtype.kind == "c":
        raise DataError(f"Voxels of {path}", found=str(array.dtype), accepted="real numbers", fix="Take the magnitude")
    color = image.GetNumberOfComponentsPerPixel() > 1
    spatial = (1, 1, *array.shape[: array.ndim - color])[-3:]
    return array.reshape(*spatial, *array.shape[array.ndim - color :]), LPS_TO_RAS @ _lps_affine(image, len(sizes))


def _lps_affine(image: Any, count: int) -> np.ndarray:
    """The (4, 4) affine of a SimpleITK image of 2 to 4 dimensions; a picture lies in the plane z = 0."""
    steps = np.reshape(image.GetDirection(), (count, count)) * np.asarray(image.GetSpacing())
    kept = min(count, 3)
    affine = np.eye(4)
    affine[:kept, :kept] = steps[:kept, :kept]
    affine[:kept, 3] = image.GetOrigin()[:kept]
    return affine


def write_itk(volume: Volume, path: Path) -> None:
    """Write an NRRD or MetaImage file, compressed: float32 voxels, or 8-bit RGB.

    A `.mhd` gets its voxels inside, as the format allows: one file can be replaced in one step, two cannot.

    Args:
        volume: on a rectangular grid.
        path: where to; what stands there is overwritten.

    Raises:
        OSError: if it cannot be written.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(volume.array, isVector=volume.is_color)
    affine = LPS_TO_RAS @ volume.grid.affine
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetSpacing(volume.grid.spacing)
    image.SetDirection((affine[:3, :3] / volume.grid.spacing).ravel().tolist())
    written = path.with_suffix(".mha") if path.suffix.lower() == ".mhd" else path
    try:
        with quiet_itk():
            sitk.WriteImage(image, str(written), useCompression=True)
    except RuntimeError as error:
        raise OSError(reason(error)) from error
    written.replace(path)
