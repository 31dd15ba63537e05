"""The module's logic and test case on Slicer's own scene; Testing/panel drives the panel itself."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from MedFusionLib.errors import Cancelled, DependencyError, InputError, UnknownNameError
from MedFusionLib.harmonize import align
from MedFusionLib.mrml import STORY, gives_color, node_from_volume, volume_from_node
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse
from MedFusionLib.scoring import evaluate
from MedFusionLib.volume import Volume

slicer = pytest.importorskip("slicer", reason='slicer-core is not installed: pip install "medfusion[slicer]"')

ROOT = Path(__file__).parents[2]
SMALL = {"shape": (6, 20, 18), "spacing": (2, 2, 3)}


@pytest.fixture(scope="module")
def heads():
    return {modality: head_phantom(modality, **SMALL) for modality in ("CT", "MR", "PET")}


@pytest.fixture
def nodes(scene, heads):
    return {modality: node_from_volume(scene, volume) for modality, volume in heads.items()}


@pytest.fixture
def logic(module):
    return module.MedFusionLogic()


def captured(volume):
    """The same volume as somebody's screen shot in color."""
    gray = np.uint8(255 * (volume.array - volume.array.min()) / np.ptp(volume.array))
    return Volume(np.stack([gray, gray // 2, 255 - gray], -1), volume.grid, volume.modality)


def test_the_node_holds_the_voxels_that_the_library_makes(logic, nodes, heads):
    node = logic.fuse([nodes["CT"], nodes["MR"]], method="weighted")
    expected = fuse([heads["CT"], heads["MR"]], method="weighted")
    assert np.array_equal(volume_from_node(node).array, expected.volume.array)
    assert json.loads(node.GetAttribute(STORY))["method"] == "weighted"


def test_all_choices_reach_the_library(logic, nodes):
    node = logic.fuse(
        [nodes["MR"], nodes["PET"]],
        method="laplacian",
        parameters={"levels": 2},
        modalities=["OTHER", None],
        reference=1,
        region=[(-100, -100, -100), (100, 100, 100)],
        spacing=4,
        windows=[(0, 500), (0, 5)],
        color="pet-heat",
        interpolation="linear",
        plane="coronal",
        device="cpu",
    )
    story = json.loads(node.GetAttribute(STORY))
    assert node.GetClassName() == "vtkMRMLVectorVolumeNode"
    assert [source["modality"] for source in story["sources"]] == ["OTHER", "PET"]
    assert (story["parameters"]["levels"], story["planes"]) == (2, ["coronal"])
    plan = {"reference": 1, "spacing": 4.0, "color": "pet-heat", "plane": "coronal", "device": "cpu"}
    plan |= {"windows": [[0.0, 500.0], [0.0, 5.0]], "interpolation": "linear", "region": [[-100.0] * 3, [100.0] * 3]}
    assert story["plan"] == plan
    np.testing.assert_allclose(node.GetSpacing(), 4)


@pytest.mark.parametrize("color", ["auto", "none", "pet-heat"])
@pytest.mark.parametrize("second", ["MR", "PET", "MR in color", "PET in color"])
def test_whether_the_result_has_color_is_known_before(heads, second, color):
    volume = heads[second.split()[0]]
    sources = [heads["CT"], captured(volume) if second.endswith("color") else volume]
    fused = fuse(sources, method="average", color=color)
    assert gives_color(sources, color) == (fused.color is not None)


def test_the_output_is_checked_before_the_work_begins(logic, nodes, monkeypatch):
    monkeypatch.setattr(logic, "compute", lambda *_, **__: pytest.fail("began to compute"))
    scalar = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    with pytest.raises(InputError, match="vtkMRMLVectorVolumeNode"):
        logic.fuse([nodes["CT"], nodes["PET"]], color="pet-heat", outputNode=scalar)
    with pytest.raises(InputError, match="one of the inputs"):
        logic.fuse([nodes["CT"], nodes["PET"]], outputNode=nodes["PET"])


def test_a_scene_of_the_caller_is_used(module, heads):
    own = slicer.vtkMRMLScene()
    sources = [node_from_volume(own, heads[modality]) for modality in ("CT", "MR")]
    node = module.MedFusionLogic(own).fuse(sources, method="average")
    assert node.GetScene() is own
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0


@pytest.mark.parametrize("at", [0.0, 0.4, 0.9])
def test_a_cancelled_run_leaves_no_node_behind(logic, nodes, at):
    def cancel(fraction, message):
        if fraction >= at:
            raise Cancelled(message)

    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(Cancelled):
        logic.fuse([nodes["CT"], nodes["MR"]], progress=cancel)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_a_run_that_fails_leaves_no_node_behind(logic, nodes):
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(UnknownNameError):
        logic.fuse([nodes["CT"], nodes["MR"]], method="laplacean")
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_without_torch_the_error_names_the_pytorch_extension(logic, nodes, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match="PyTorch extension"):
        logic.plan([nodes["CT"], nodes["MR"]])


def test_the_test_case_that_slicer_runs_passes_from_the_source_tree(module):
    module.MedFusionTest().runTest()


def test_the_library_is_found_when_only_the_module_folder_is_on_the_path(module, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "path", [str(ROOT / "MedFusion")])
    module.findLibrary()
    assert sys.path == [str(ROOT / "MedFusion"), str(ROOT)]


def test_importing_the_module_does_no_work(scene):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; import desktop_stand_in; desktop_stand_in.start(); import MedFusion;"
        "print([name for name in ('torch', 'SimpleITK', 'scipy', 'MedFusionLib') if name in sys.modules])"
    )
    folders = [str(ROOT / "MedFusion"), str(Path(__file__).parent)]
    run = subprocess.run([sys.executable, "-P", "-c", code, *folders], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


class TestBatchExample:
    """docs/examples/batch_in_slicer.py, with Slicer's own file reading and writing."""

    @pytest.fixture
    def batch(self, module, scene, tmp_path, monkeypatch):
        from desktop_stand_in import FileIO

        files = FileIO(scene, tmp_path)
        monkeypatch.setattr(slicer.util, "loadVolume", files.load_volume)
        monkeypatch.setattr(slicer.util, "saveNode", files.save_node)
        path = ROOT / "docs/examples/batch_in_slicer.py"
        spec = importlib.util.spec_from_file_location("batch_in_slicer", path)
        example = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(example)
        return example

    @pytest.fixture
    def table(self, heads, tmp_path):
        from MedFusionLib.save import save_volume

        for modality in ("CT", "PET"):
            save_volume(heads[modality], tmp_path / f"{modality}.nrrd")
        with (tmp_path / "cases.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("name", "CT", "PET"), ("good", "CT.nrrd", "PET.nrrd"), ("bad", "CT.nrrd", "")])
        return tmp_path / "cases.csv"

    def test_a_table_is_fused_and_the_bad_case_is_told(self, batch, table, tmp_path, heads, caplog):
        status = batch.main([str(table), str(tmp_path / "out"), "--method", "average"])
        assert status == 1
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.nrrd"]
        assert "bad: Volumes to fuse" in caplog.text

        from MedFusionLib.load import load_volume

        fused = load_volume(tmp_path / "out/good.nrrd", modality="OTHER")
        expected = fuse([heads["CT"], heads["PET"]], method="average").volume
        np.testing.assert_allclose(fused.array, expected.array, atol=1e-6)
        np.testing.assert_allclose(fused.grid.affine, expected.grid.affine, atol=1e-4)

    def test_nothing_stays_in_the_scene(self, batch, table, tmp_path):
        batch.main([str(table), str(tmp_path / "out"), "--method", "average"])
        for kind in ("vtkMRMLVolumeNode", "vtkMRMLDisplayNode", "vtkMRMLStorageNode"):
            assert slicer.mrmlScene.GetNumberOfNodesByClass(kind) == 0


def columns(table):
    """Name -> values of a table node."""
    found = {}
    for index in range(table.GetNumberOfColumns()):
        array = table.GetTable().GetColumn(index)
        found[array.GetName()] = [array.GetValue(row) for row in range(array.GetNumberOfValues())]
    return found


def test_scores_are_a_table_that_can_be_sorted_by_number(logic, nodes):
    sources = [nodes["CT"], nodes["MR"]]
    fused = logic.fuse(sources)
    table = columns(logic.evaluate(fused, sources, ["qabf", "nmi:hm", "sd"]))
    assert table["metric"] == ["qabf", "nmi:hm", "sd"]
    assert all(isinstance(value, float) for value in table["value"])
    assert table["worst source"][0] == min(table[nodes["CT"].GetName()][0], table[nodes["MR"].GetName()][0])
    assert np.isnan(table["worst source"][2])


def test_scores_are_those_of_the_library(logic, nodes, heads):
    sources = [nodes["CT"], nodes["MR"]]
    windows = [(-200, 800), None]
    fused = logic.fuse(sources, windows=windows)
    table = columns(logic.evaluate(fused, sources, ["qabf"]))
    aligned = align([heads["CT"], heads["MR"]], windows=windows)
    expected = evaluate(fuse([heads["CT"], heads["MR"]], windows=windows), aligned, ["qabf"])
    # The story of the result tells the windows that it was fused with.
    assert table["value"] == pytest.approx([expected["qabf"].value])
    default = evaluate(fuse([heads["CT"], heads["MR"]], windows=windows), align([heads["CT"], heads["MR"]]), ["qabf"])
    assert table["value"] != pytest.approx([default["qabf"].value])


def test_a_label_adds_task_metrics_to_the_table(logic, nodes, heads, scene):
    sources = [nodes["CT"], nodes["MR"]]
    grid = heads["CT"].grid
    marked = np.zeros(grid.shape, np.float32)
    marked[2:4, 8:12, 7:11] = 1
    label = node_from_volume(scene, Volume(marked, grid, "OTHER", "lesion"))
    before = scene.GetNumberOfNodesByClass("vtkMRMLTableNode")
    table = logic.evaluate(logic.fuse(sources), sources, ["cnr", "auc"], labelNode=label)
    assert columns(table)["metric"] == ["cnr", "auc"]
    again = logic.evaluate(logic.fuse(sources), sources, ["sd"], tableNode=table)
    assert again is table
    assert columns(table)["metric"] == ["sd"]
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == before + 1


def test_what_is_no_result_cannot_be_scored(logic, nodes, scene):
    before = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="Fuse the volumes first"):
        logic.evaluate(None, [nodes["CT"], nodes["MR"]])
    with pytest.raises(InputError, match="accepted"):
        logic.evaluate(nodes["CT"], [nodes["CT"], nodes["MR"]])
    assert scene.GetNumberOfNodes() == before
