"""Saving: what was saved comes back, and what stood there survives whatever goes wrong."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy.spatial.transform import Rotation

from MedFusionLib.errors import DataError, FileError, GeometryError, SaveError
from MedFusionLib.load import load_volume
from MedFusionLib.save import check_target, save_json, save_volume, writing_beside
from MedFusionLib.volume import Grid, Volume

FORMATS = [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"]
SHAPE = (9, 40, 30)
CORNERS_MM = 1e-4
"""NIfTI keeps the affine in float32: half a last digit of 300 mm is 1.5e-5 mm, and a few of them add up to a corner.
NRRD and MetaImage write text with 16 digits and lie far below."""


def affine(angles=(31, -12, 170), mirror=1) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * (0.7, 1.3, mirror * 3.27)
    matrix[:3, 3] = (-123.4, 87.6, 301.2)
    return matrix


AFFINES = {
    "straight": np.diag([2.0, 3.0, 4.0, 1.0]),
    "oblique": affine(),
    "left-handed": affine(mirror=-1),
    "half turn": affine((180, 0, 0)),
}


def volume(matrix=None, shape=SHAPE, color=False) -> Volume:
    random = np.random.default_rng(0)
    array = random.integers(0, 256, (*shape, 3)).astype(np.uint8) if color else random.normal(0, 1000, shape)
    return Volume(array, Grid(shape, affine() if matrix is None else matrix), "MR", "test")


def left_behind(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


# Round trips


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("matrix", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("color", [False, True], ids=["gray", "color"])
def test_volume_comes_back_as_saved(tmp_path, suffix, matrix, color):
    saved = volume(matrix, color=color)

    loaded = load_volume(save_volume(saved, tmp_path / f"a{suffix}"), "MR")

    assert (loaded.array == saved.array).all()
    assert loaded.array.dtype == saved.array.dtype
    assert np.abs(loaded.grid.corners - saved.grid.corners).max() < CORNERS_MM
    assert left_behind(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("color", [False, True], ids=["gray", "color"])
def test_simpleitk_reads_the_same_voxels_at_the_same_place(tmp_path, suffix, color):
    saved = volume(AFFINES["left-handed"], color=color)

    image = sitk.ReadImage(str(save_volume(saved, tmp_path / f"a{suffix}")))

    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    assert np.abs(Grid(SHAPE, np.diag([-1, -1, 1, 1]) @ matrix).corners - saved.grid.corners).max() < CORNERS_MM
    assert (sitk.GetArrayFromImage(image) == saved.array).all()


@pytest.mark.parametrize("matrix", AFFINES.values(), ids=AFFINES)
def test_nifti_quaternion_alone_gives_the_same_place(tmp_path, matrix):
    content = bytearray(save_volume(volume(matrix), tmp_path / "a.nii").read_bytes())
    content[254:256] = bytes(2)  # sform_code
    (tmp_path / "q.nii").write_bytes(content)

    loaded = load_volume(tmp_path / "q.nii", "MR")

    # At half a turn the scalar part is the root of a difference of float32: 3e-4 rad at worst, over 60 mm.
    assert np.abs(loaded.grid.corners - Grid(SHAPE, matrix).corners).max() < 0.02


@pytest.mark.parametrize("suffix", [*FORMATS, ".png", ".tif"])
def test_one_slice_in_color_comes_back(tmp_path, suffix):
    saved = volume(np.diag([-1.0, -1.0, 1.0, 1.0]), (1, 20, 30), color=True)

    loaded = load_volume(save_volume(saved, tmp_path / f"a{suffix}"), "PET")

    assert (loaded.array == saved.array).all()
    assert loaded.grid.same_as(saved.grid)


def test_nan_and_infinity_come_back(tmp_path):
    array = np.array(volume().array)
    array[0, 0, :2] = np.nan, -np.inf
    for suffix in FORMATS:
        loaded = load_volume(save_volume(volume().with_array(array), tmp_path / f"a{suffix}"), "MR")
        assert np.array_equal(loaded.array, array, equal_nan=True)


def test_same_volume_gives_the_same_bytes_under_any_name(tmp_path):
    one, other = (save_volume(volume(), tmp_path / name).read_bytes() for name in ("a.nii.gz", "b.nii.gz"))

    assert one == other
    assert one[3:8] == bytes(5)  # neither a name nor the time
    assert len(gzip.decompress(one)) == 352 + 4 * np.prod(SHAPE)


def test_gray_slice_is_spread_over_8_bits(tmp_path):
    levels = np.arange(256) / 255
    levels[1:-1] += np.resize([-0.4, 0.4], 254) / 255
    levels = levels.reshape(1, 16, 16)
    slice_ = Volume(levels, Grid(levels.shape, np.eye(4)), "MR")

    for suffix in (".png", ".tif", ".jpg"):
        with Image.open(save_volume(slice_, tmp_path / f"a{suffix}")) as picture:
            assert picture.mode == "L"
            # JPEG at quality 95 is off by a gray level or two.
            assert np.abs(np.asarray(picture, int).ravel() - np.arange(256)).max() <= (2 if suffix == ".jpg" else 0)


# What cannot be saved


@pytest.mark.parametrize("values", [(0, 1.5), (-0.1, 1), (0, np.nan)])
def test_picture_of_values_out_of_range_is_refused_with_the_range(tmp_path, values):
    slice_ = Volume(np.array([[values]], float), Grid((1, 1, 2), np.eye(4)), "CT", unit="HU")

    with pytest.raises(DataError, match=r"values .* HU; accepted: finite values in \[0, 1\]. Apply a Window"):
        save_volume(slice_, tmp_path / "a.png")
    assert left_behind(tmp_path) == []


def test_picture_of_several_slices_and_unknown_extension_are_refused(tmp_path):
    with pytest.raises(FileError, match="9 slices"):
        save_volume(volume(), tmp_path / "a.png")
    with pytest.raises(FileError, match=r"extension \.dcm; accepted: \.nii"):
        save_volume(volume(), tmp_path / "a.dcm")
    with pytest.raises(FileError, match="extension none"):
        save_volume(volume(), tmp_path / "a")
    assert left_behind(tmp_path) == []


def test_sheared_grid_is_refused_with_the_way_out(tmp_path):
    sheared = affine()
    sheared[:3, 2] += (1, 0, 0)

    with pytest.raises(GeometryError, match=r"not at right angles.*Choose a spacing"):
        save_volume(volume(sheared), tmp_path / "a.nrrd")


def test_existing_file_stays_if_it_must_and_is_replaced_if_it_may(tmp_path):
    (tmp_path / "a.nii").write_text("old")

    with pytest.raises(FileError, match="there already"):
        save_volume(volume(), tmp_path / "a.nii", overwrite=False)
    assert (tmp_path / "a.nii").read_text() == "old"
    assert load_volume(save_volume(volume(), tmp_path / "a.nii"), "MR").grid.shape == SHAPE


def test_target_can_be_checked_before_there_is_a_volume(tmp_path):
    (tmp_path / "a.nii").write_text("old")

    check_target(tmp_path / "a.nii")
    check_target(tmp_path / "b.nii.gz", overwrite=False)
    with pytest.raises(FileError, match="there already"):
        check_target(tmp_path / "a.nii", overwrite=False)
    with pytest.raises(FileError, match=r"extension \.gz; accepted: \.nii"):
        check_target(tmp_path / "a.img.gz")


def test_missing_folders_are_made(tmp_path):
    assert save_volume(volume(), tmp_path / "x/y/a.nrrd") == tmp_path / "x/y/a.nrrd"
    assert (tmp_path / "x/y/a.nrrd").is_file()


def test_file_in_place_of_a_folder_and_folder_in_place_of_the_file_are_told(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "a.nii").mkdir()
    for path in ("file/a.nii", "a.nii"):
        with pytest.raises(SaveError, match=r"GB free\).*untouched"):
            save_volume(volume(), tmp_path / path)
    assert left_behind(tmp_path) == ["a.nii", "file"]


# Written beside, then renamed


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def interrupted() -> None:
        with writing_beside(tmp_path / "a.txt") as draft:
            draft.write_text("new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert left_behind(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_target_is_untouched_until_the_block_ends(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    with writing_beside(target) as draft:
        draft.write_text("new")
        assert target.read_text() == "old"
        assert draft.parent.parent == tmp_path
        assert draft.parent.name.startswith(f".a.txt.{os.getpid()}.")
        assert draft.parent.name.endswith(".partial")
    assert target.read_text() == "new"
    assert left_behind(tmp_path) == ["a.txt"]


FULL_DISK = """
import resource, sys
import numpy as np
from MedFusionLib.errors import SaveError
from MedFusionLib.save import save_volume
from MedFusionLib.volume import Grid, Volume

array = np.random.default_rng(0).random((20, 100, 100))
volume = Volume(array, Grid(array.shape, np.eye(4)), "MR")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for path in sys.argv[1:]:
    try:
        save_volume(volume, path)
    except SaveError as error:
        print(error)
"""


def test_failing_write_leaves_the_old_file_and_says_how_much_is_free(tmp_path):
    names = [f"a{suffix}" for suffix in FORMATS]
    for name in names:
        (tmp_path / name).write_text("old")

    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )

    assert run.stdout.count("GB free") == len(FORMATS), run.stdout
    assert left_behind(tmp_path) == sorted(names)
    assert all((tmp_path / name).read_text() == "old" for name in names)


ENDLESS = """
import sys
import numpy as np
from MedFusionLib.save import save_volume
from MedFusionLib.volume import Grid, Volume

array = np.random.default_rng(0).random((60, 256, 256))
volume = Volume(array, Grid(array.shape, np.eye(4)), "MR")
print("ready", flush=True)
save_volume(volume, sys.argv[1])
"""


def test_killed_process_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.nii.gz"
    target.write_text("old")

    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(target)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        until = time.monotonic() + 20
        while not any(part.stat().st_size > 0 for part in tmp_path.glob(".*.partial/*")):
            assert time.monotonic() < until, "the save did not start"
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)

    assert process.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


# JSON


def test_story_comes_back_as_plain_values(tmp_path):
    story = {"a": np.float32(0.5), "b": np.arange(3), "c": Path("x/y"), "d": {"e": (1, None, True)}, "f": "µ"}

    saved = save_json(story, tmp_path / "story.json")

    assert json.loads(saved.read_text(encoding="utf-8")) == {
        "a": 0.5,
        "b": [0, 1, 2],
        "c": "x/y",
        "d": {"e": [1, None, True]},
        "f": "µ",
    }


@pytest.mark.parametrize("value", [np.nan, np.array([np.inf]), object()])
def test_story_that_is_no_json_is_refused_and_the_old_one_stays(tmp_path, value):
    (tmp_path / "story.json").write_text("old")

    with pytest.raises(DataError, match=r"story\.json"):
        save_json({"a": value}, tmp_path / "story.json")
    assert (tmp_path / "story.json").read_text() == "old"
