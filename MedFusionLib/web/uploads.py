"""What comes in: files that a stranger named, sized and packed. All of it lands in one folder of the tab."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from MedFusionLib.errors import FileError
from MedFusionLib.files.dicom import is_dicom, series_in
from MedFusionLib.files.formats import NIFTI, NRRD, PICTURES, suffix_of

VOLUMES = (*NIFTI, ".nrrd", ".mha", *PICTURES)
"""Files that hold a volume whole. `.nhdr` and `.mhd` name another file to read: that could be any on this machine."""

ACCEPTED = (*VOLUMES, ".zip", ".dcm", ".ima", "")
"""DICOM files often have no extension, or end in a number of their UID."""

GIGABYTE = 10**9
_MOST_FILES = 20_000
_MOST_RATIO = 200
"""Unpacked over packed size of a whole archive: medical images pack 2 to 20 times, zip bombs 1000 and more."""

_MOST_NAME = 150
_ODD = r'[\x00-\x1f<>:"|?*\\/]'
_BLOCK = 2**20
_HEADER = 2**16


class Inbox:
    """The folder of a tab's uploads.

    Args:
        folder: exists, and is empty.
        limit: bytes that one upload may have, and one archive or image unpacked; all together four times that.
    """

    def __init__(self, folder: Path, limit: int = 2 * GIGABYTE):
        self.folder = folder
        self.limit = limit
        self._batches = 0
        self._waiting: Path | None = None

    def place_for(self, name: str, size: int | None = None) -> Path:
        """Where an upload of this name is to be written: beside the others that came since `take`.

        Raises:
            FileError: if the name is none, leads elsewhere or is of an unknown kind, or the announced size is too much.
        """
        name = safe_name(name)
        if not _is_accepted(name):
            raise FileError(
                f"Upload {name}",
                found=f"extension {suffix_of(Path(name))}",
                accepted=f"{', '.join(VOLUMES)}, DICOM files, or a .zip of them",
                fix="Save .nhdr, .mhd and other formats as one .nrrd or .nii.gz file",
            )
        self.check_size(name, size or 0)
        if self._waiting is None:
            self._batches += 1
            self._waiting = self.folder / str(self._batches)
            self._waiting.mkdir()
        return _free(self._waiting / name)

    def check_size(self, name: str, size: int) -> None:
        """See that so many bytes may come in (FileError)."""
        if size > self.limit:
            raise FileError(
                f"Upload {name}",
                found=f"more than {_gigabytes(self.limit)}",
                accepted=f"files up to {_gigabytes(self.limit)}",
                fix="Crop or resample it, or start the server with a higher --limit",
            )
        if size + _size_of(self.folder) > 4 * self.limit:
            raise FileError(
                f"Upload {name}",
                found=f"{_gigabytes(_size_of(self.folder))} in this tab already",
                accepted=f"{_gigabytes(4 * self.limit)} together",
                fix="Open a new tab for other patients",
            )

    def take(self) -> list[Path]:
        """One path for each volume among what came since the last time; archives are unpacked.

        Raises:
            FileError: if an archive or an image cannot be trusted, or there is no volume; what came is deleted.
        """
        batch, self._waiting = self._waiting, None
        if batch is None:
            return []
        try:
            for archive in [path for path in batch.iterdir() if path.suffix.lower() == ".zip"]:
                unzip(archive, batch, self.limit)
                archive.unlink()
            return volumes_in(batch, self.limit)
        except FileError:
            shutil.rmtree(batch)
            raise


def safe_name(name: str) -> str:
    """The name, if it is one of a file and leads nowhere else.

    Raises:
        FileError: if it names a folder, another place, or nothing.
    """
    if not name or name.startswith(".") or len(name) > _MOST_NAME or re.search(_ODD, name):
        raise FileError(
            "Upload",
            found=f"the name {name[:_MOST_NAME]!r}",
            accepted="a plain file name, no path",
            fix="Rename the file",
        )
    return name


def unzip(archive: Path, folder: Path, limit: int) -> None:
    """Unpack an archive's DICOM files and volumes into a folder; its own folders are dropped, files renamed if alike.

    Raises:
        FileError: if an entry leads out of the archive or is no plain file, or there is too much in it.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [entry for entry in packed.infolist() if not entry.is_dir()]
            _check_entries(archive, entries, limit)
            left = limit
            for entry in entries:
                name = PurePosixPath(entry.filename).name
                if _is_accepted(name) and not name.startswith(".") and not name.lower().endswith(".zip"):
                    left -= _extract(packed, entry, _free(folder / re.sub(_ODD, "_", name)[-_MOST_NAME:]), left)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise FileError(f"Archive {archive.name}", found=f"{error}", fix="It is damaged: pack it again") from error


def _check_entries(archive: Path, entries: list[zipfile.ZipInfo], limit: int) -> None:
    asked = f"Archive {archive.name}"
    if len(entries) > _MOST_FILES:
        raise FileError(asked, found=f"{len(entries)} files", accepted=f"up to {_MOST_FILES}")
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise FileError(asked, found=f"an entry that leads out of it: {entry.filename[:_MOST_NAME]!r}")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise FileError(asked, found=f"a link or device: {entry.filename[:_MOST_NAME]!r}", accepted="plain files")
        if entry.flag_bits & 1:
            raise FileError(asked, found="a password", accepted="archives without one", fix="Pack it again without")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limit or unpacked > _MOST_RATIO * archive.stat().st_size:
        raise FileError(
            asked,
            found=f"{unpacked / 1e6:.0f} MB unpacked from {archive.stat().st_size / 1e6:.2f} MB",
            accepted=f"up to {_gigabytes(limit)}, and up to {_MOST_RATIO} times the packed size",
        )


def _extract(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write one entry; the sizes that the archive tells may be lies, so what comes out is counted."""
    written = 0
    with packed.open(entry) as source, target.open("xb") as file:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > left:
                raise FileError(f"Archive {packed.filename}", found="more in it than it tells")
            file.write(block)
    return written


def volumes_in(folder: Path, limit: int) -> list[Path]:
    """One path for each volume in a folder: files as they are, and a file for each DICOM series.

    Raises:
        FileError: if there is none, or a file points elsewhere or claims to be larger than the limit.
    """
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    single = [path for path in files if suffix_of(path) in VOLUMES and not is_dicom(path)]
    for path in single:
        check_header(path, limit)
    series = series_in(folder).values() if any(map(is_dicom, files)) else ()
    found = [*single, *(next(iter(headers)) for headers in series)]
    if not found:
        raise FileError(
            "Upload",
            found="no volume: " + (", ".join(path.name for path in files[:5]) or "nothing"),
            accepted=f"{', '.join(VOLUMES)}, DICOM images, or a .zip of them",
        )
    return found


def check_header(path: Path, limit: int) -> None:
    """See that a volume's file holds its voxels itself, and does not unpack to more than the limit.

    Raises:
        FileError: if it does not.
    """
    if suffix_of(path) in (*NRRD, ".mha") and not _is_whole(path):
        raise FileError(
            f"Upload {path.name}",
            found="a header that names another file",
            accepted="files with their voxels inside",
            fix="Save it as one .nrrd or .nii.gz file",
        )
    size = _claimed_size(path)
    if size > limit:
        raise FileError(
            f"Upload {path.name}", found=f"{_gigabytes(size)} unpacked", accepted=f"up to {_gigabytes(limit)}"
        )


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if path.suffix.lower() == ".mha":
        told = re.search(rb"^\s*ElementDataFile\s*=\s*(\S+)", header, re.MULTILINE | re.IGNORECASE)
        return told is not None and told.group(1).upper() == b"LOCAL"
    header = re.split(rb"\r?\n\r?\n", header, maxsplit=1)[0]
    return not re.search(rb"^\s*data ?file\s*:", header, re.MULTILINE | re.IGNORECASE)


def _claimed_size(path: Path) -> int:
    """Bytes of the voxels as float32, by the header; 0 if nobody can read it, which loading will tell."""
    import SimpleITK as sitk

    from MedFusionLib.files.itk import quiet_itk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            reader.ReadImageInformation()
    except RuntimeError:
        return 0
    voxels = 1
    for count in reader.GetSize():
        voxels *= count
    return 4 * voxels * reader.GetNumberOfComponents()


def _is_accepted(name: str) -> bool:
    suffix = suffix_of(Path(name))
    return suffix in ACCEPTED or suffix[1:].isdigit()


def _free(path: Path) -> Path:
    return next(place for place in _places(path) if not place.exists())


def _places(path: Path) -> Iterator[Path]:
    yield path
    suffix = suffix_of(path)
    stem = path.name[: len(path.name) - len(suffix)]
    for number in range(2, _MOST_FILES + 2):
        yield path.with_name(f"{stem}-{number}{suffix}")


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _gigabytes(size: int) -> str:
    return f"{size / GIGABYTE:.2g} GB"
