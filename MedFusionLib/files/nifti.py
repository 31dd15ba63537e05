"""NIfTI files, by nibabel.

SimpleITK returns whatever memory holds for the missing part of a truncated NIfTI file, reports success when the disk
is full, and refuses sheared axes. None of that may happen to a patient's image. Where a header tells two places,
the one that ITK takes is taken here, so that a file lies in the same place in Slicer.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from MedFusionLib.errors import DataError, FileError
from MedFusionLib.files.formats import LPS_TO_RAS, refuse_frames
from MedFusionLib.volume import Volume

_SCANNER = 1
"""Form code "scanner anatomical": the one for which every reader, ITK included, takes the sform."""

_VECTOR_INTENT = 1007
_MM = {"meter": 1000.0, "micron": 0.001}
_SAME_TURN = 1e-4
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (K, J, I) or (K, J, I, C), scaled by the header's slope, and the RAS affine of a `.nii` or `.nii.gz`.

    Args:
        path: NIfTI-1 or NIfTI-2 in one file, either byte order.

    Raises:
        FileError: if it is no NIfTI file, damaged or truncated.
        DataError: if it holds several volumes, or complex voxels.
    """
    import nibabel

    try:
        with nibabel.imageglobals.LoggingOutputSuppressor():
            image: Any = nibabel.load(path, mmap=False)
        _refuse_frames(image, path)
        voxels = np.asanyarray(image.dataobj)
        affine = _affine(image.header)
    except DataError:
        raise
    except MemoryError as error:
        raise FileError(
            f"NIfTI file {path}",
            found=f"{' x '.join(map(str, image.shape))} voxels, more than memory holds",
            fix="If it should be smaller it is damaged: copy or download it again",
        ) from error
    except (
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        OSError,
        EOFError,
        ValueError,
        zlib.error,
    ) as error:
        raise FileError(
            f"NIfTI file {path}", found=f"{error}", fix="It is damaged or of another format: copy or download it again"
        ) from error
    return _arranged(voxels, path), affine


def _refuse_frames(image: Any, path: Path) -> None:
    sizes = image.shape
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes = sizes[:-1]
    is_vector = len(sizes) == 5 and sizes[3] == 1 and image.header["intent_code"] == _VECTOR_INTENT
    if len(sizes) > 3 and not is_vector:
        refuse_frames(path, sizes)


def _arranged(voxels: np.ndarray, path: Path) -> np.ndarray:
    """Nibabel's (I, J, K, …) as (K, J, I) or (K, J, I, C)."""
    if voxels.dtype.names:
        voxels = np.stack([voxels[name] for name in voxels.dtype.names], -1)
    elif voxels.dtype.kind == "c":
        raise DataError(
            f"Voxels of {path}", found=str(voxels.dtype), accepted="real numbers or color", fix="Take the magnitude"
        )
    else:
        components = voxels.shape[4:] if voxels.ndim == 5 and voxels.shape[4] > 1 else ()
        voxels = voxels.reshape(*(*voxels.shape, 1, 1)[:3], *components)
    return voxels.swapaxes(0, 2)


def _affine(header: Any) -> np.ndarray:
    """The RAS affine in mm."""
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    if sform is None and qform is None:
        affine = LPS_TO_RAS @ np.diag([*header["pixdim"][1:4].astype(float), 1.0])
    else:
        affine = np.array(sform if _sform_counts(header, sform, qform) else qform, float)
    affine[:3] *= _MM.get(header.get_xyzt_units()[0], 1.0)
    return affine


def _sform_counts(header: Any, sform: np.ndarray | None, qform: np.ndarray | None) -> bool:
    """ITK's choice, except that a sheared sform with no qform to fall back on is taken rather than refused."""
    if sform is None or qform is None:
        return sform is not None
    axes, turned = (form[:3, :3] / np.linalg.norm(form[:3, :3], axis=0) for form in (sform, qform))
    if not np.allclose(axes.T @ axes, np.eye(3), atol=_SAME_TURN):
        return False
    return bool(header["sform_code"] == _SCANNER or np.allclose(axes, turned, atol=_SAME_TURN))


def write_nifti(volume: Volume, path: Path) -> None:
    """Write a NIfTI-1 file: float32 voxels, or RGB24 if in color; compressed if its name ends in `.gz`.

    Args:
        volume: on a rectangular grid.
        path: where to; what stands there is overwritten.
    """
    import nibabel

    voxels = volume.array.swapaxes(0, 2)
    if volume.is_color:
        voxels = np.ascontiguousarray(volume.array.swapaxes(0, 2)).view(_RGB)[..., 0]
    image = nibabel.Nifti1Image(voxels, volume.grid.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(volume.grid.affine, _SCANNER)
    image.set_sform(volume.grid.affine, _SCANNER)
    image.to_filename(path)
