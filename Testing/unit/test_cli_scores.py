"""`medfusion evaluate`, `metrics` and `benchmark` as a user meets them."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from MedFusionLib.cli import main
from MedFusionLib.harmonize import align
from MedFusionLib.load import load_volume
from MedFusionLib.phantom import head_phantom
from MedFusionLib.registry import list_metrics
from MedFusionLib.save import save_volume
from MedFusionLib.scoring import PANEL, evaluate, fused_from
from MedFusionLib.volume import Volume
from Testing.reference.values import stored, synthetic

SOURCES = "ct.nii.gz mr.nii.gz --modality CT MR"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for modality in ("CT", "MR", "PET"):
        volume = head_phantom(modality, shape=(12, 64, 64), spacing=(3, 3, 5))
        save_volume(volume, folder / f"{modality.lower()}.nii.gz")
    marked = np.zeros(volume.grid.shape, np.float32)
    marked[5:7, 28:36, 28:36] = 1
    save_volume(Volume(marked, volume.grid, "OTHER"), folder / "lesion.nii.gz")
    sources = f"{folder}/ct.nii.gz {folder}/mr.nii.gz --modality CT MR"
    assert main(f"fuse {sources} -o {folder}/fused.nii.gz --quiet".split()) == 0
    for name, image in zip(("ct", "mr", "fused"), synthetic()["phantom_max"], strict=True):
        Image.fromarray(image).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run a line in the folder: exit code, output, error."""
    monkeypatch.chdir(folder)
    capsys.readouterr()

    def call(line):
        code = main(line.split())
        return code, *capsys.readouterr()

    return call


def test_evaluate_prints_what_the_library_gives(run, folder):
    code, out, _ = run(f"evaluate fused.nii.gz {SOURCES} --metrics qabf vifp:hm --json")
    told = json.loads(out)
    assert code == 0
    volumes = [load_volume(folder / f"{name}.nii.gz", name.upper()) for name in ("ct", "mr")]
    fused = fused_from(load_volume(folder / "fused.nii.gz", "OTHER"))
    expected = evaluate(fused, align(volumes), ["qabf", "vifp:hm"])
    assert [row["value"] for row in told["scores"]] == pytest.approx([score.value for score in expected.scores])
    assert told["sources"] == ["ct", "mr"]
    assert "foreground" in told["domain"]


def test_evaluate_prints_a_table_that_says_what_was_scored(run):
    code, out, _ = run(f"evaluate fused.nii.gz {SOURCES}")
    assert code == 0
    assert all(f" {name} " in out for name in PANEL)
    assert "harmonized values in [0, 1]" in out


def test_evaluate_prints_csv(run):
    _, out, _ = run(f"evaluate fused.nii.gz {SOURCES} --metrics qabf sd --csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["metric"] for row in rows] == ["qabf", "sd"]
    assert float(rows[0]["worst_source"]) == min(float(rows[0]["source_1"]), float(rows[0]["source_2"]))
    assert rows[1]["source_1"] == ""


def test_evaluate_takes_mask_label_and_the_whole_image(run):
    values = {}
    for mask in ("mask", "whole", "lesion.nii.gz"):
        _, out, _ = run(f"evaluate fused.nii.gz {SOURCES} --metrics nmi --mask {mask} --json")
        values[mask] = json.loads(out)["scores"][0]["value"]
    assert len(set(values.values())) == 3
    _, out, _ = run(f"evaluate fused.nii.gz {SOURCES} --label lesion.nii.gz --json")
    assert {"cnr", "auc_retention"} <= {row["metric"] for row in json.loads(out)["scores"]}


def test_evaluate_reproduces_the_published_convention_on_pictures(run):
    _, out, _ = run("evaluate fused.png ct.png mr.png --modality CT MR --compat cvpr23 --json")
    found = {row["metric"]: row["value"] for row in json.loads(out)["scores"]}
    assert found["SSIM"] == pytest.approx(stored("SSIM", "CDDFuse:SSIM_dr2_as_published")["phantom_max"], rel=1e-5)
    assert found["Qabf"] == pytest.approx(stored("Qabf", "oracle:hong")["phantom_max"], rel=1e-6)


def test_json_has_null_where_a_metric_is_undefined(run, folder):
    Image.fromarray(np.full((192, 176), 100, np.uint8)).save(folder / "flat.png")
    _, out, _ = run("evaluate flat.png flat.png flat.png --modality CT MR --metrics cc --mask whole --json")
    assert json.loads(out)["scores"][0]["value"] is None
    assert "undefined" in json.loads(out)["scores"][0]["note"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"evaluate ct.nii.gz {SOURCES}", "accepted: [0, 1]"),
        (f"evaluate fused.nii.gz {SOURCES} --metrics qabg", "Did you mean qabf"),
        (f"evaluate fused.nii.gz {SOURCES} --metrics cnr", "no label"),
        (f"evaluate fused.nii.gz {SOURCES} --mask nothing.nii.gz", "nothing.nii.gz"),
        (f"evaluate fused.nii.gz {SOURCES} --compat cvpr99", "cvpr23"),
        ("evaluate fused.nii.gz ct.nii.gz --modality CT", "2 or more"),
        ("evaluate fused.png ct.nii.gz mr.nii.gz --modality CT MR", "pictures of one size"),
        ("metrics qabg", "Did you mean qabf"),
        ("benchmark --data nowhere -o out", "no such folder"),
        ("benchmark -o out", "neither"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, line, words):
    code, out, err = run(line)
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert words in err


def test_metrics_lists_every_metric_with_its_facts(run):
    _, out, _ = run("metrics --json")
    assert {entry["name"] for entry in json.loads(out)} == set(list_metrics())
    _, out, _ = run("metrics viff")
    assert "VIFF" in out
    assert "contrast" in out
    assert len(run("metrics")[1].splitlines()) == len(list_metrics())


def test_benchmark_runs_from_the_terminal(run, folder, tmp_path):
    for modality in ("ct", "mr"):
        target = tmp_path / "data" / modality.upper()
        target.mkdir(parents=True)
        (target / "1.png").write_bytes((folder / f"{modality}.png").read_bytes())
    line = f"benchmark --data {tmp_path}/data -o {tmp_path}/out --methods average --metrics qabf,nmi:hm --jobs 1"
    code, out, _ = run(line)
    assert code == 0
    assert str(tmp_path / "out" / "report.html") in out
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "cases.csv").read_text())))
    assert {row["method"] for row in rows} == {"average", "maximum", "copy CT", "copy MR"}
    assert all(not math.isnan(float(row["qabf"])) for row in rows)
