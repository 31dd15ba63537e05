"""Volume and story -> files. Written beside, then renamed: what stands at the place is never half-written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from MedFusionLib.errors import DataError, FileError, GeometryError, SaveError
from MedFusionLib.files.formats import METAIMAGE, NIFTI, PICTURES, suffix_of
from MedFusionLib.files.itk import write_itk
from MedFusionLib.files.nifti import write_nifti
from MedFusionLib.files.picture import write_picture
from MedFusionLib.volume import Volume

_WRITERS = {
    **dict.fromkeys(NIFTI, write_nifti),
    **dict.fromkeys((".nrrd", *METAIMAGE), write_itk),
    **dict.fromkeys(PICTURES, write_picture),
}


@contextmanager
def writing_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path to write to, in a folder beside the target; move it to the target when the block ends well.

    If the block raises, the target stays as it was and the folder is removed. A killed process leaves the folder
    `.<name>.<pid>….partial` behind, and the target as it was. Folders on the way to the target are made.

    Args:
        path: the target, one file.

    Raises:
        SaveError: if the system cannot write or move it (OSError in the block included).
    """
    target = Path(path).expanduser()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name[:40]}.{os.getpid()}."
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".partial", dir=target.parent))
        try:
            draft = folder / target.name
            yield draft
            _reach_disk(draft)
            os.replace(draft, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise SaveError(
            f"Save {target}",
            found=f"{error.strerror or error} ({_free(target.parent)} free)",
            fix="What stood there is untouched. Free some space, or choose another folder",
        ) from error


def _reach_disk(path: Path) -> None:
    """Wait until the file is on the disk: a full network disk says so only now."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _free(folder: Path) -> str:
    known = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    return f"{shutil.disk_usage(known).free / 1e9:.2f} GB"


def check_target(path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Raise what `save_volume` would raise on this path, before long work is done for it.

    Raises:
        FileError: if the extension is unknown, or the file exists and must stay.
    """
    path = Path(path).expanduser()
    if suffix_of(path) not in _WRITERS:
        raise FileError(f"Save {path}", found=f"extension {path.suffix or 'none'}", accepted=", ".join(_WRITERS))
    if not overwrite and path.exists():
        raise FileError(f"Save {path}", found="a file that is there already", fix="Choose another name")


def check_folder(path: str | os.PathLike[str]) -> None:
    """See that a file could be written here, before long work is done for it.

    Raises:
        FileError: if a folder stands at its place, or its folder is none or not writable.
    """
    path = Path(path).expanduser().absolute()
    folder = next(place for place in path.parents if place.exists())
    if path.is_dir():
        raise FileError(f"Save {path}", found="a folder of that name", fix="Choose another name")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"Save {path}", found=f"{folder}, not a folder to write in", fix="Choose another folder")


def save_volume(volume: Volume, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Save a volume; the extension chooses the format. Gray values are kept as float32, color as 8-bit RGB.

    Args:
        volume: any; for a sheared grid and for pictures see below.
        path: ends in .nii, .nii.gz, .nrrd, .mha, .mhd, or for one slice .png, .jpg, .tif (gray values in [0, 1]).
        overwrite: whether a file that stands there may be replaced.

    Returns:
        The path of the file.

    Raises:
        FileError: if the extension is unknown, cannot hold the volume, or the file exists and must stay.
        GeometryError: if the axes are not at right angles.
        DataError: if the gray values of a picture leave [0, 1].
        SaveError: if it cannot be written; what stood there is untouched.
    """
    path = Path(path).expanduser()
    check_target(path, overwrite=overwrite)
    if not volume.grid.is_rectangular:
        raise GeometryError(
            f"Save {path}",
            found=f"axes that are not at right angles (gantry tilt?): {volume.grid.directions.round(4).tolist()}",
            accepted="a rectangular grid: files and their readers know no other",
            fix="Choose a spacing, so that the volume is resampled",
        )
    with writing_beside(path) as draft:
        _WRITERS[suffix_of(path)](volume, draft)
    return path


def save_json(mapping: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Save a mapping, such as the story of a result, as JSON; numpy's numbers and arrays and paths become plain.

    Raises:
        DataError: if a value has no place in JSON: NaN, infinity, or any other object.
        SaveError: if it cannot be written; what stood there is untouched.
    """
    path = Path(path).expanduser()
    try:
        text = json.dumps(mapping, indent=2, allow_nan=False, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Save {path}", found=f"{error}", accepted="finite numbers, text, lists and mappings"
        ) from error
    return save_text(text + "\n", path)


def save_text(text: str, path: str | os.PathLike[str]) -> Path:
    """Save text, such as a page, in UTF-8; the path comes back.

    Raises:
        SaveError: if it cannot be written; what stood there is untouched.
    """
    path = Path(path).expanduser()
    with writing_beside(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path


def _plain(value: object) -> object:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (os.PathLike, Mapping)):
        return os.fspath(value) if isinstance(value, os.PathLike) else dict(value)
    raise TypeError(f"{type(value).__name__} {value!r}")
