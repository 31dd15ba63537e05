"""The benchmark: finds cases, scores them once, ranks over patients, reports."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from MedFusionLib.benchmark.cases import UNKNOWN, cases_of, published_cases
from MedFusionLib.benchmark.groups import groups_of
from MedFusionLib.benchmark.ranks import is_ranked, rank
from MedFusionLib.benchmark.run import run_benchmark
from MedFusionLib.benchmark.summary import summaries
from MedFusionLib.benchmark.table import Rows
from MedFusionLib.benchmark.work import Plan, entries_of, score_case
from MedFusionLib.errors import FileError, ParameterError, UnknownNameError
from MedFusionLib.phantom import head_phantom
from MedFusionLib.save import save_volume

IDS = ("1", "2", "3", "4")


def gray(modality, number):
    volume = head_phantom(modality, shape=(8, 64, 64), spacing=(3, 3, 8))
    plane = volume.array[2 + int(number) % 4]
    return np.uint8(255 * (plane - plane.min()) / (np.ptp(plane) or 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two sets of four pairs, patients a (1, 2) and b (3, 4); 4 is for training."""
    root = tmp_path_factory.mktemp("data")
    for name in ("CT-MRI", "PET-MRI"):
        for modality in name.split("-"):
            folder = root / "pairs" / name / modality
            folder.mkdir(parents=True)
            for number in IDS:
                Image.fromarray(gray({"MRI": "MR"}.get(modality, modality), number)).save(folder / f"{number}.png")
    told = {"case": dict(zip(IDS, "aabb", strict=True)), "test": ["1", "2", "3"], "train": ["4"]}
    (root / "splits.json").write_text(json.dumps({"CT-MRI": told, "PET-MRI": told}))
    outputs = root / "outputs"
    (outputs / "Peer").mkdir(parents=True)
    entries = []
    for number in ("1", "2"):
        sources = [f"pairs/CT-MRI/{modality}/{number}.png" for modality in ("CT", "MRI")]
        Image.open(root / sources[0]).save(outputs / "Peer" / f"{number}.png")
        entry = {"method": "Peer", "modality": "CT-MRI", "file": f"outputs/Peer/{number}.png", "note": ""}
        entries.append({**entry, "src_functional_or_ct": sources[0], "src_mri": sources[1]})
    entries.append({**entries[0], "method": "Gone", "file": "outputs/Gone/1.png"})
    (outputs / "mapping.json").write_text(json.dumps(entries))
    return root


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A whole run: its folder."""
    out = tmp_path_factory.mktemp("out") / "benchmark"
    choices = {"methods": ["pca"], "metrics": ["qabf", "vifp:hm", "nmi:hm"], "split": "all", "jobs": 2}
    written = run_benchmark(out, data / "pairs", data / "outputs", **choices)
    assert all(path.is_file() for path in written)
    return out, choices


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def row(group, case, method, patient="p", kind="method", **scores):
    return {"group": group, "case": case, "method": method, "patient": patient, "kind": kind, **scores}


def test_pairs_of_pictures_are_found_by_split_and_patient(data):
    cases = cases_of(data / "pairs")
    assert [(case.group, case.name, case.patient) for case in cases[:3]] == [
        ("CT-MRI", "1", "a"),
        ("CT-MRI", "2", "a"),
        ("CT-MRI", "3", "b"),
    ]
    assert [modality for _, modality in cases[3].sources] == ["MR", "PET"]  # The anatomical one first.
    assert {case.name for case in cases_of(data / "pairs", "train")} == {"4"}
    assert len(cases_of(data / "pairs", "all")) == 8


def test_volumes_are_found_with_their_label(tmp_path):
    folder = tmp_path / "cohort" / "patient_7"
    for name, modality in (("PET_image", "PET"), ("CT_image", "CT"), ("CT_mask", "CT"), ("PET_mask", "PET")):
        folder.mkdir(parents=True, exist_ok=True)
        save_volume(head_phantom(modality, shape=(4, 16, 16), spacing=(4, 4, 4)), folder / f"{name}.nii.gz")
    (case,) = cases_of(tmp_path / "cohort")
    assert [modality for _, modality in case.sources] == ["CT", "PET"]
    assert case.label == folder / "CT_mask.nii.gz"
    assert case.patient == "patient_7"
    (found,) = score_case(case, Plan(("average",), ("qabf",)), ["average"])
    assert float(found["qabf"]) > 0


def test_published_results_come_with_their_inputs(data, caplog):
    cases = published_cases(data / "outputs")
    assert [case.name for case in cases] == ["1", "2"]
    assert set(cases[0].published) == {"Peer"}
    assert cases[0].luma
    assert "Gone" in caplog.text


def test_a_folder_without_cases_is_told(tmp_path, data):
    with pytest.raises(FileError, match="no such folder"):
        cases_of(tmp_path / "nowhere")
    with pytest.raises(FileError, match="no case"):
        cases_of(tmp_path)
    with pytest.raises(FileError, match=r"mapping\.json"):
        published_cases(tmp_path)
    with pytest.raises(ParameterError, match="test, train, all"):
        cases_of(data / "pairs", "validation")
    with pytest.raises(FileError, match="neither"):
        run_benchmark(tmp_path / "out")
    with pytest.raises(UnknownNameError):
        run_benchmark(tmp_path / "out", data / "pairs", methods=["no_such_method"])
    with pytest.raises(UnknownNameError):
        run_benchmark(tmp_path / "out", data / "pairs", metrics=["no_such_metric"])
    with pytest.raises(ParameterError, match="Jobs"):
        run_benchmark(tmp_path / "out", data / "pairs", jobs=0)
    assert not (tmp_path / "out").exists()


def test_every_case_has_its_yardsticks(data):
    case = cases_of(data / "pairs")[0]
    assert entries_of(case, Plan(("pca",))) == {
        "pca": "method",
        "average": "trivial",
        "maximum": "trivial",
        "copy CT": "trivial",
        "copy MR": "trivial",
    }


def test_what_pools_the_sources_stands_beside_the_worst_of_them():
    assert Plan((), ("vifp:hm", "viff", "mse")).columns() == ["vifp:hm", "vifp:min", "viff", "mse"]


def test_a_result_of_another_size_is_a_row_with_a_note(data):
    case = published_cases(data / "outputs")[0]
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(data / "small.png")
    case.published["Small"] = data / "small.png"
    (found,) = score_case(case, Plan(()), ["Small"])
    assert "12 x 10" in found["note"]
    assert "qabf" not in found


def test_a_whole_run_has_a_row_for_every_case_and_method(finished):
    rows = read(finished[0] / "cases.csv")
    entries = {"pca", "average", "maximum", "copy CT", "copy MR"}
    assert {row["method"] for row in rows if row["group"] == "CT-MRI"} == entries
    assert len(rows) == 8 * 5 + 2 * 6
    assert all(0 <= float(row["qabf"]) <= 0.975 for row in rows)
    found = {(row["group"], row["case"], row["method"]): row["qabf"] for row in rows}
    for number in ("1", "2"):
        # What this peer published is the CT.
        peer, copy = (found["CT-MRI of pairs", number, method] for method in ("Peer", "copy CT"))
        assert float(peer) == pytest.approx(float(copy))


def test_time_and_memory_are_measured(finished):
    rows = read(finished[0] / "methods.csv")
    assert {row["method"] for row in rows} == {"pca", "average", "maximum"}
    assert all(0 < float(row["seconds"]) < 5 for row in rows)
    assert all(50 < float(row["peak_mb"]) < 5000 for row in rows)


def test_a_stopped_run_goes_on(finished, data):
    out, choices = finished
    path = out / "cases.csv"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:-4]) + lines[-4][:20])
    run_benchmark(out, data / "pairs", data / "outputs", **choices)

    def keyed(text):
        return {line.rsplit(",", 6)[0].rsplit(",", 2)[0] for line in text.splitlines()}

    again = path.read_text()
    assert again.startswith("".join(lines[:-4]))  # What was there was not computed again: the seconds are the same.
    assert keyed(again) == keyed(whole)


def test_a_folder_of_another_benchmark_is_refused(finished, data):
    out, choices = finished
    with pytest.raises(FileError, match="other metrics"):
        run_benchmark(out, data / "pairs", **(choices | {"metrics": ["sd"]}))


def test_the_report_stands_alone(finished):
    text = (finished[0] / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", text)
    assert "http" not in text
    assert text.count("<img") >= 3 + 2 * 4  # Box plots of each group, best and worst case of each method.
    assert "Peer" in text


def test_the_page_names_cases_patients_and_commands(finished):
    text = (finished[0] / "summary.md").read_text()
    assert "4 cases, 2 patients (fewer than 3 give no interval and no test)" in text
    assert "patients not told" not in text.split("## CT-MRI of pairs")[0]


def test_half_a_row_is_dropped(tmp_path):
    rows = Rows(tmp_path / "rows.csv", ["a"], {})
    rows.append([row("g", "1", "m", a=1.0), row("g", "2", "m", a=2.0)])
    text = (tmp_path / "rows.csv").read_text()
    (tmp_path / "rows.csv").write_text(text[:-4])
    again = Rows(tmp_path / "rows.csv", ["a"], {})
    assert ("g", "1", "m") in again
    assert ("g", "2", "m") not in again


def test_ranks_are_of_patients_not_of_slices():
    # Patient p has three slices where a wins, q and r one each where b wins: two patients of three are b's.
    rows = [row("g", str(n), m, "p", qabf=v) for n in range(3) for m, v in (("a", 0.5), ("b", 0.4))]
    rows += [row("g", n, m, n, qabf=v) for n in "qr" for m, v in (("a", 0.1), ("b", 0.2))]
    ranking = rank(groups_of(rows, ["qabf"]), ["qabf"])
    assert ranking.blocks == 3
    assert dict(zip(ranking.methods, ranking.mean, strict=True)) == pytest.approx({"a": 5 / 3, "b": 4 / 3})


def test_each_family_has_one_vote():
    # b wins in the edge family, a in both metrics of the fidelity family: one vote each.
    rows = [row("g", n, m, n, qabf=q, viff=v, vifp=v) for n in "xyz" for m, q, v in (("a", 0.1, 0.9), ("b", 0.2, 0.8))]
    ranking = rank(groups_of(rows, ["qabf", "viff", "vifp"]), ["qabf", "viff", "vifp"])
    assert ranking.mean == pytest.approx([1.5, 1.5])
    assert ranking.borda == pytest.approx([0.5, 0.5])


def test_directions_and_ties_are_minded():
    rows = [
        row("g", n, m, n, mse=v, q_sf=s)
        for n in "xyz"
        for m, v, s in (("a", 1, -0.3), ("b", 2, 0.1), ("c", 1 + 1e-9, 0.1))
    ]
    ranking = rank(groups_of(rows, ["mse", "q_sf"]), ["mse", "q_sf"])
    assert ranking.by_metric == pytest.approx(np.array([[1.5, 3, 1.5], [3, 1.5, 1.5]]))


def test_a_cell_without_a_value_is_left_out_and_counted():
    rows = [
        row("g", n, m, n, qabf=v, viff="" if (n, m) == ("x", "a") else v)
        for n in "xyz"
        for m, v in (("a", 2), ("b", 1))
    ]
    ranking = rank(groups_of(rows, ["qabf", "viff"]), ["qabf", "viff"])
    assert ranking.dropped == 1
    assert ranking.mean == pytest.approx([1, 2])


def test_intervals_are_over_patients():
    values = {"p": (0.1, 0.1, 0.1, 0.1), "q": (0.5,), "r": (0.9,)}
    rows = [row("g", f"{p}{n}", "a", p, qabf=v) for p, each in values.items() for n, v in enumerate(each)]
    ((summary,),) = summaries(groups_of(rows, ["qabf"])[0])
    assert summary.mean == pytest.approx(1.8 / 6)
    # Resampling three patients can give p three times, or r three times: over slices neither would be in reach.
    assert (summary.low, summary.high) == pytest.approx((0.1, 0.9))
    two = [each for each in rows if each["patient"] != "r"]
    assert np.isnan(summaries(groups_of(two, ["qabf"])[0])[0][0].low)


def test_patients_that_are_not_told_give_no_interval():
    rows = [row("g", str(n), m, UNKNOWN, qabf=n + v) for n in range(6) for m, v in (("a", 0.1), ("b", 0.2), ("c", 0))]
    (group,) = groups_of(rows, ["qabf"])
    ranking = rank([group], ["qabf"])
    assert np.isnan(ranking.low).all()
    assert np.isnan(ranking.friedman)
    assert ranking.mean == pytest.approx([2, 1, 3])


def test_friedman_and_the_critical_difference_are_the_textbooks():
    """Demsar 2006, section 3.2.2: four classifiers on 14 data sets, CD = 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25."""
    rng = np.random.default_rng(0)
    rows = [
        row("g", str(n), m, str(n), qabf=v + 0.1 * rng.random())
        for n in range(14)
        for m, v in zip("abcd", (4, 3, 2, 1), strict=True)
    ]
    ranking = rank(groups_of(rows, ["qabf"]), ["qabf"])
    assert ranking.critical == pytest.approx(1.25, abs=0.005)
    assert ranking.friedman < 1e-6
    assert ranking.nemenyi[0, 3] < 0.001 < ranking.nemenyi[0, 1]


def test_published_results_are_compared_on_their_own_cases():
    rows = [row("g", str(n), m, str(n), qabf=v) for n in range(4) for m, v in (("a", 0.2), ("b", 0.1))]
    rows += [row("g", str(n), "Peer", str(n), "published", qabf=0.3) for n in range(2)]
    (group,) = groups_of(rows, ["qabf"])
    assert group.name == "g, cases of Peer"
    assert group.of == "g"
    assert group.cases == ("0", "1")
    assert rank([group], ["qabf"]).methods == ("a", "b", "Peer")


def test_only_what_judges_is_ranked():
    assert is_ranked("qabf")
    assert is_ranked("vifp:hm")
    assert not is_ranked("vifp:min")  # It is a part of vifp:hm.
    assert not is_ranked("sd")
    assert not is_ranked("cnr")
    assert is_ranked("SSIM")
