"""What comes in is checked: names, sizes, archives, headers that point elsewhere."""

from __future__ import annotations

import stat
import struct
import zipfile

import pytest

from MedFusionLib.errors import FileError
from MedFusionLib.web.uploads import Inbox, check_header, safe_name, unzip, volumes_in

LIMIT = 10**6


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return Inbox(folder, LIMIT)


@pytest.mark.parametrize(
    "name",
    [
        "../ct.nii",
        "..",
        "a/ct.nii",
        "/etc/passwd",
        "a\\ct.nii",
        "..\\ct.nii",
        "C:\\ct.nii",
        "C:ct.nii",
        ".hidden.nii",
        "",
        "ct\0.nii",
        "ct\n.nii",
        "x" * 200,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(inbox, name):
    with pytest.raises(FileError, match="plain file name"):
        inbox.place_for(name)
    assert not any(inbox.folder.rglob("*"))


@pytest.mark.parametrize("name", ["ct.nii.gz", "CT 1 (a).nrrd", "IM0001", "CT.1.2.840.113", "häd.mha", "a.zip"])
def test_plain_names_of_volumes_are_taken(inbox, name):
    assert safe_name(name) == name
    assert inbox.place_for(name).parent.parent == inbox.folder


@pytest.mark.parametrize("name", ["page.html", "run.py", "ct.nhdr", "ct.mhd", "scene.mrb"])
def test_other_kinds_of_files_are_refused(inbox, name):
    with pytest.raises(FileError, match="extension"):
        inbox.place_for(name)


def test_a_file_over_the_limit_is_refused_by_its_announced_size(inbox):
    with pytest.raises(FileError, match="files up to"):
        inbox.place_for("ct.nii", LIMIT + 1)


def test_many_files_are_refused_once_they_are_too_much_together(inbox):
    for number in range(4):
        inbox.place_for(f"{number}.nii", LIMIT).write_bytes(bytes(LIMIT))
    with pytest.raises(FileError, match="in this tab already"):
        inbox.place_for("last.nii", 1)


def test_two_files_of_one_name_are_both_kept(inbox):
    first = inbox.place_for("ct.nii.gz")
    first.touch()
    assert inbox.place_for("ct.nii.gz").name == "ct-2.nii.gz"


def test_an_archive_of_dicom_gives_one_path_for_each_series(inbox, archive, slice_of_dicom):
    entries = {f"study/{series}/{n}": slice_of_dicom(f"1.2.{series}", series, n) for series in (1, 2) for n in range(3)}
    entries |= {"study/readme.txt": b"x", "__MACOSX/._1": b"x"}
    inbox.place_for("a.zip").write_bytes(archive(entries).read_bytes())
    found = inbox.take()
    assert len(found) == 2
    from MedFusionLib.load import load_volume

    assert sorted(load_volume(path).name for path in found) == ["CT series 1", "CT series 2"]
    assert inbox.take() == []


@pytest.mark.parametrize("name", ["../evil.nii", "/evil.nii", "a/../../evil.nii", "..\\evil.nii", "C:/evil.nii"])
def test_an_archive_with_an_entry_that_leads_out_of_it_is_refused(tmp_path, archive, name):
    (tmp_path / "in").mkdir()
    with pytest.raises(FileError, match="leads out"):
        unzip(archive({name: b"x"}), tmp_path / "in", LIMIT)
    assert not any((tmp_path / "in").iterdir())


def test_an_archive_with_a_link_is_refused(tmp_path):
    path = tmp_path / "link.zip"
    entry = zipfile.ZipInfo("ct.nii")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(entry, "/etc/passwd")
    with pytest.raises(FileError, match="link"):
        unzip(path, tmp_path, LIMIT)


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(inbox, archive):
    bomb = archive({"bomb.nii": bytes(LIMIT // 2)})
    assert bomb.stat().st_size < LIMIT / 500
    inbox.place_for("bomb.zip").write_bytes(bomb.read_bytes())
    with pytest.raises(FileError, match="times the packed size"):
        inbox.take()
    assert not any(inbox.folder.iterdir())


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(inbox, archive):
    import random

    noise = random.Random(0).randbytes(LIMIT // 20) * 30
    inbox.place_for("a.zip").write_bytes(archive({f"{n}.nii": noise for n in range(2)}).read_bytes())
    with pytest.raises(FileError, match="unpacked"):
        inbox.take()


def test_an_archive_that_lies_about_its_sizes_is_refused(tmp_path, archive):
    path = archive({"ct.nii": bytes(50_000)})
    lie = path.read_bytes().replace(struct.pack("<I", 50_000), struct.pack("<I", 10))
    path.write_bytes(lie)
    (tmp_path / "in").mkdir()
    with pytest.raises(FileError):
        unzip(path, tmp_path / "in", LIMIT)


def test_an_archive_in_an_archive_is_not_unpacked(tmp_path, archive):
    (tmp_path / "in").mkdir()
    unzip(archive({"inner.zip": b"PK", "ct.nii": b"x"}), tmp_path / "in", LIMIT)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["ct.nii"]


def test_a_damaged_archive_is_refused(inbox):
    inbox.place_for("a.zip").write_bytes(b"PK\3\4 not really")
    with pytest.raises(FileError, match="pack it again"):
        inbox.take()


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.nrrd", b"NRRD0004\ntype: short\ndimension: 3\nsizes: 1 1 1\nencoding: raw\ndata file: /etc/passwd\n"),
        ("a.nrrd", b"NRRD0004\ntype: short\nDataFile: LIST\n/etc/passwd\n"),
        ("a.mha", b"ObjectType = Image\nNDims = 3\nElementDataFile = /etc/passwd\n"),
        ("a.mha", b"ObjectType = Image\nNDims = 3\n"),
    ],
)
def test_a_header_that_names_another_file_is_refused(tmp_path, name, header):
    path = tmp_path / name
    path.write_bytes(header)
    with pytest.raises(FileError, match="names another file"):
        check_header(path, LIMIT)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.png"])
def test_real_files_pass(tmp_path, name):
    import numpy as np

    from MedFusionLib.save import save_volume
    from MedFusionLib.volume import Grid, Volume

    shape = (1, 4, 5) if name == "a.png" else (3, 4, 5)
    path = save_volume(Volume(np.random.default_rng(0).random(shape), Grid(shape, np.eye(4)), "MR"), tmp_path / name)
    check_header(path, LIMIT)
    assert volumes_in(tmp_path, LIMIT) == [path]


def test_an_image_that_unpacks_to_more_than_the_limit_is_refused_by_its_header(tmp_path):
    import nibabel
    import numpy as np

    path = tmp_path / "bomb.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((100, 100, 100), np.uint8), np.eye(4)), path)
    assert path.stat().st_size < LIMIT / 100
    with pytest.raises(FileError, match="unpacked"):
        check_header(path, LIMIT)


def test_a_batch_without_a_volume_is_refused_and_deleted(inbox):
    inbox.place_for("notes").write_bytes(b"no image")
    with pytest.raises(FileError, match="no volume: notes"):
        inbox.take()
    assert not any(inbox.folder.iterdir())
