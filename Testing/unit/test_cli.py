"""The terminal as a user meets it: results, exit codes, one clear line for a mistake, never half a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from MedFusionLib.cli import main
from MedFusionLib.load import load_volume
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse
from MedFusionLib.registry import list_methods
from MedFusionLib.save import save_volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for modality in ("CT", "MR", "PET"):
        save_volume(
            head_phantom(modality, shape=(24, 40, 32), spacing=(5, 5, 6)), folder / f"{modality.lower()}.nii.gz"
        )
    return folder


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def fails(capsys, *arguments):
    """The exit code and the one line on the error stream."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err
    return code, err


def test_fuse_writes_what_the_library_gives(in_folder, tmp_path, capsys):
    out, story, picture = tmp_path / "out.nii.gz", tmp_path / "story.json", tmp_path / "picture.png"
    arguments = f"fuse ct.nii.gz mr.nii.gz -o {out} --modality CT MR --method laplacian --set levels=3 low=mean"
    arguments += f" --reference 2 --story {story} --montage {picture} --plane coronal"
    assert main(arguments.split()) == 0
    expected = fuse(
        [load_volume("ct.nii.gz", "CT"), load_volume("mr.nii.gz", "MR")],
        parameters={"levels": 3, "low": "mean"},
        reference=1,
        plane="coronal",
    )
    np.testing.assert_array_equal(load_volume(out, "OTHER").array, expected.volume.array)
    told = json.loads(story.read_text())
    assert told["parameters"] == {"levels": 3, "low": "mean"}
    assert told["plan"]["reference"] == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.split() == [str(out), str(story), str(picture)]


def test_color_spacing_and_window_reach_the_library(in_folder, tmp_path):
    out = tmp_path / "out.nrrd"
    arguments = (
        f"fuse mr.nii.gz pet.nii.gz -o {out} --modality MRI PT --color hot --spacing 7 --window auto 0,5 --quiet"
    )
    assert main(arguments.split()) == 0
    volume = load_volume(out, "OTHER")
    assert volume.is_color
    assert volume.grid.spacing == pytest.approx((7, 7, 7))
    expected = fuse(
        [load_volume("mr.nii.gz", "MR"), load_volume("pet.nii.gz", "PET")],
        color="hot",
        spacing=7,
        windows=[None, (0, 5)],
    )
    np.testing.assert_array_equal(volume.array, expected.color.array)


@pytest.mark.parametrize("windows", ["-450,1050 auto", "auto -1e2,500", "-.5,5 -2,9"])
def test_windows_may_start_below_zero(windows, in_folder, tmp_path):
    story = tmp_path / "s.json"
    arguments = f"fuse ct.nii.gz mr.nii.gz -o {tmp_path}/o.nii --modality CT MR --window {windows} --story {story}"
    assert main(arguments.split()) == 0
    told = json.loads(story.read_text())["plan"]["windows"]
    for window, text in zip(told, windows.split(), strict=True):
        assert text == "auto" or window == [float(value) for value in text.split(",")]


@pytest.mark.parametrize("flag", ["-o", "--story", "--montage"])
def test_an_output_that_cannot_be_written_is_told_before_the_work(flag, in_folder, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    targets = {"-o": "o.nii", "--story": "s.json", "--montage": "m.png"}
    lines = [f"{name} {tmp_path}/{'file/' if name == flag else ''}{target}" for name, target in targets.items()]
    monkeypatch.setattr("MedFusionLib.load.load_volume", lambda *_: pytest.fail("work was done"))
    code, line = fails(capsys, *f"fuse ct.nii.gz mr.nii.gz --modality CT MR {' '.join(lines)}".split())
    assert code == 2
    assert "not a folder to write in" in line


def test_a_region_is_all_that_is_fused(in_folder, tmp_path):
    out = tmp_path / "part.nii.gz"
    region = "--region -40,-31,-20 40,31,20"
    assert main(f"fuse ct.nii.gz mr.nii.gz -o {out} --modality CT MR {region} --quiet".split()) == 0
    corners = load_volume(out, "OTHER").grid.corners
    assert np.abs(corners).max(0) == pytest.approx((40, 31, 20), abs=6)
    assert (np.abs(corners) <= (40, 31, 20)).all()


def test_three_volumes_and_finest_spacing(in_folder, tmp_path):
    out = tmp_path / "out.mha"
    arguments = f"fuse ct.nii.gz mr.nii.gz pet.nii.gz -o {out} --modality CT MR PET --method average --spacing finest"
    assert main(arguments.split()) == 0
    assert load_volume(out, "OTHER").grid.spacing == pytest.approx((5, 5, 5))


def test_methods_are_listed_and_explained(capsys):
    assert main(["methods"]) == 0
    listing = capsys.readouterr().out
    assert [line.split()[0] for line in listing.splitlines()] == list(list_methods())
    assert main(["methods", "laplacian"]) == 0
    explained = capsys.readouterr().out
    assert "levels = 4  (int, 1 to 8 levels)" in explained
    assert "doi" in explained


def test_methods_as_json_hold_what_a_form_needs(capsys):
    assert main(["methods", "--json"]) == 0
    facts = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(facts) == set(list_methods())
    levels = facts["laplacian"]["parameters"][0]
    assert levels["name"] == "levels"
    assert levels["default"] == 4
    assert main(["methods", "dwt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == facts["dwt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii", "Which modality is ct.nii.gz"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT", "1 (CT); accepted: one for each of 2 volumes"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT XR", "'XR'; accepted: CT, MR, PET, SPECT, OTHER"),
        ("fuse ct.nii.gz no.nii.gz -o {tmp}/o.nii --modality CT MR", "no.nii.gz"),
        ("fuse ct.nii.gz -o {tmp}/o.nii --modality CT", "found 1; accepted: 2 or more"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.doc --modality CT MR", ".doc"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --method magic", "'magic'; accepted: average"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --set levels=40", "'40'; accepted: int, 1 to 8"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --set levels", "'levels'; accepted: NAME=VALUE"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --set level=4", "Did you mean levels?"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --set levels=4 levels=5", "levels twice"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --method LAPLACIAN", "Did you mean laplacian?"),
        (
            "fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --region 0,0 1,1,1",
            "'0,0'; accepted: three",
        ),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --region 0,0,900 1,1,901", "which holds no voxel"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --spacing wide", "'wide'; accepted: one or three"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --window 1 2", "two numbers"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --window 0,1", "1 (0,1); accepted: one for each"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --reference 3", "number 3; accepted: 1 to 2"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --plane up", "'up'; accepted: auto"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --device warp", "'warp'; accepted: auto, cpu"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --color sepia", "'sepia'; accepted: gray"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.png --modality CT MR", "slices"),
        ("fuse ct.nii.gz mr.nii.gz -o mr.nii.gz --modality CT MR", "mr.nii.gz: found an input or another output"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --story {tmp}/o.nii --modality CT MR", "an input or another output"),
        (
            "fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --montage {tmp}/o.jpg --modality CT MR",
            "o.jpg; accepted: a name that",
        ),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --interpolation cubic", "'cubic'; accepted: linear"),
        ("fuse ct.nii.gz mr.nii.gz -o {tmp}/o.nii --modality CT MR --spacing 0.002", "grid of 80000 x"),
        ("methods magic", "'magic'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2_and_nothing_is_written(arguments, words, in_folder, tmp_path, capsys):
    code, line = fails(capsys, *arguments.format(tmp=tmp_path).split())
    assert code == 2
    assert words in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", ["", "melt", "fuse", "fuse a.nii", "methods --colour", "fuse a b -o c --reference x"]
)
def test_a_line_that_cannot_be_read_is_one_line_and_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert "--help" in err


def test_without_slicer_core_the_demo_writes_all_but_the_scene_and_says_so(tmp_path, monkeypatch, caplog):
    from MedFusionLib import demo

    monkeypatch.setattr(demo, "head_phantom", lambda m: head_phantom(m, shape=(20, 28, 24), spacing=(7, 7, 8)))
    monkeypatch.setitem(sys.modules, "slicer", None)
    assert main(["demo", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "montage.png").exists()
    assert not (tmp_path / "scene.mrb").exists()
    assert 'pip install "medfusion[slicer]"' in caplog.text


def test_a_failure_is_one_line_and_exit_code_1(in_folder, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    code, line = fails(capsys, *f"fuse ct.nii.gz mr.nii.gz -o {tmp_path}/o.nii --modality CT MR".split())
    assert code == 1
    assert "No space left on device" in line
    assert list(tmp_path.iterdir()) == []


def test_an_unforeseen_error_is_one_line_and_debug_shows_the_trace(in_folder, tmp_path, capsys, monkeypatch):
    def broken(*_, **__):
        raise KeyError("surprise")

    monkeypatch.setattr("MedFusionLib.pipeline.fuse_aligned", broken)
    arguments = f"fuse ct.nii.gz mr.nii.gz -o {tmp_path}/o.nii --modality CT MR".split()
    code, line = fails(capsys, *arguments)
    assert code == 1
    assert "unexpected KeyError" in line
    assert "--debug" in line
    assert main([*arguments, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_quiet_is_silent_and_notes_are_told_without_it(in_folder, tmp_path):
    head = load_volume("mr.nii.gz", "MR")
    moved = head_phantom("PET", shape=(24, 40, 32), spacing=(5, 5, 6), offset=(0, 0, 0, 0, 30, 0))
    save_volume(moved, tmp_path / "moved.nii.gz")
    save_volume(head, tmp_path / "mr.nii.gz")
    command = [
        sys.executable,
        "-m",
        "MedFusionLib.cli",
        "fuse",
        str(tmp_path / "mr.nii.gz"),
        str(tmp_path / "moved.nii.gz"),
    ]
    command += ["-o", str(tmp_path / "o.nii"), "--modality", "MR", "PET"]
    loud = subprocess.run(command, capture_output=True, text=True, check=True)
    quiet = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=True)
    assert "looks unregistered" in loud.stderr
    assert loud.stdout.strip() == str(tmp_path / "o.nii")
    assert quiet.stdout == quiet.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_stopped_half_way_leaves_the_old_result(number, tmp_path):
    for seed, name in enumerate(("a", "b")):
        save_volume(head_phantom("MR", shape=(60, 80, 64), spacing=(3, 3, 3), seed=seed), tmp_path / f"{name}.nii")
    out = tmp_path / "out.nii"
    out.write_bytes(b"the old result")
    code = (
        "import sys, time, signal; from MedFusionLib import slabs; from MedFusionLib.cli import main;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "original = slabs.Run._piece;"
        "slabs.Run._piece = lambda *a: (print('half', flush=True), time.sleep(30), original(*a));"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "fuse", "a.nii", "b.nii", "-o", "out.nii", "--modality", "MR", "MR"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "half\n"
    time.sleep(0.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == (-number if number == signal.SIGKILL else 1)
    assert out.read_bytes() == b"the old result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii", "b.nii", "out.nii"]
    if number == signal.SIGINT:
        assert err.strip() == "medfusion: stopped"


def test_the_progress_bar_is_drawn_on_a_terminal_and_gone_at_the_end(in_folder, tmp_path):
    import pty

    leader, follower = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "MedFusionLib.cli",
        "fuse",
        "ct.nii.gz",
        "mr.nii.gz",
        "-o",
        str(tmp_path / "o.nii"),
    ]
    command += ["--modality", "CT", "MR"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, text=True)
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other end is closed: how Linux says that all is read
            break
        if not piece:
            break
        shown += piece
    out, _ = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0
    assert out.strip() == str(tmp_path / "o.nii")
    assert b"Laplacian" in shown


def test_the_command_lists_methods_in_half_a_second():
    # The best of three, start of Python included: the promise is about us, not about a busy machine.
    command = [sys.executable, "-m", "MedFusionLib.cli", "methods"]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


def test_the_demo_writes_volumes_stories_scene_and_picture(tmp_path, monkeypatch):
    from MedFusionLib import demo

    small = {"CT": (40, 3), "MR": (48, 3), "PET": (40, 4), "SPECT": (32, 5)}
    monkeypatch.setattr(
        demo, "head_phantom", lambda m: head_phantom(m, shape=(small[m][0],) * 3, spacing=(small[m][1] * 1.5,) * 3)
    )
    assert main(["demo", "-o", str(tmp_path), "--quiet"]) == 0
    written = {path.name for path in tmp_path.iterdir()}
    pairs = ("CT_MR", "MR_PET", "MR_SPECT", "CT_MR_PET")
    assert written >= {"scene.mrb", "montage.png"} | {f"fused_{p}.nii.gz" for p in pairs} | {
        f"fused_{p}.json" for p in pairs
    }
    assert {f"fused_{p}_color.nii.gz" for p in pairs[1:]} <= written
    assert "fused_CT_MR_color.nii.gz" not in written
