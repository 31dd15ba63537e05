"""A Slicer scene written without Slicer, read back by Slicer's own reader."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from MedFusionLib.errors import DependencyError, InputError, SaveError
from MedFusionLib.mrml import STORY, volume_from_node, write_mrb
from MedFusionLib.volume import Fused, Grid, Volume

slicer = pytest.importorskip("slicer", reason='slicer-core is not installed: pip install "medfusion[slicer]"')
vtk = pytest.importorskip("vtk")

FILE_MM = 1e-9
"""NRRD keeps matrices as text of 17 digits; some multiplications round."""


@pytest.fixture
def fused(ct, rgb):
    volume = Volume(np.random.default_rng(2).random(ct.grid.shape), ct.grid, "OTHER", "CT+PET laplacian")
    return Fused(volume, rgb, {"method": "laplacian", "sources": [{"name": 'Größe; "a": b & <c> 100%'}]})


@pytest.fixture
def opened(scene, tmp_path):
    """A function that opens a scene file in the empty scene."""
    from desktop_stand_in import FileIO

    files = FileIO(scene, tmp_path)
    return files.open_mrb


def test_voxels_and_places_come_back_exactly(scene, opened, tmp_path):
    right_handed = Grid((4, 5, 6), [[0, -2, 0, 5], [0.6, 0, 0.8, 6], [-0.8, 0, 0.6, 7], [0, 0, 0, 1]])
    volume = Volume(np.random.default_rng(3).normal(size=(4, 5, 6)), right_handed, "MR")
    write_mrb(tmp_path / "demo.mrb", [volume])
    opened(tmp_path / "demo.mrb")
    back = volume_from_node(slicer.util.getNodesByClass("vtkMRMLVolumeNode")[0])
    assert np.array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.grid.affine, volume.grid.affine, atol=FILE_MM)


def test_left_handed_axes_come_back_as_slicer_turns_them_in_the_same_places(scene, opened, tmp_path, ct, rgb, fused):
    write_mrb(tmp_path / "demo.mrb", [ct, rgb, fused])
    opened(tmp_path / "demo.mrb")
    nodes = slicer.util.getNodesByClass("vtkMRMLVolumeNode")
    assert [node.GetClassName() for node in nodes] == [
        "vtkMRMLScalarVolumeNode",
        "vtkMRMLVectorVolumeNode",
        "vtkMRMLScalarVolumeNode",
        "vtkMRMLVectorVolumeNode",
    ]
    for node, volume in zip(nodes, (ct, rgb, fused.volume, fused.color), strict=True):
        back = volume_from_node(node)
        assert back.array.dtype == volume.array.dtype
        assert np.array_equal(back.array[::-1], volume.array)
        assert np.abs(np.sort(back.grid.corners, 0) - np.sort(volume.grid.corners, 0)).max() < FILE_MM
        assert (back.modality, back.unit) == (volume.modality, volume.unit)


def test_the_story_comes_back_whatever_signs_it_holds(scene, opened, tmp_path, fused):
    write_mrb(tmp_path / "demo.mrb", [fused])
    opened(tmp_path / "demo.mrb")
    node = slicer.util.getNodesByClass("vtkMRMLVolumeNode")[0]
    assert json.loads(node.GetAttribute(STORY)) == fused.story


def test_each_result_has_a_folder_with_its_scalar_and_its_color_volume(scene, opened, tmp_path, ct, fused):
    gray = Fused(fused.volume.with_array(fused.volume.array, name="CT+MR average"), None, {})
    write_mrb(tmp_path / "demo.mrb", [ct, fused, gray])
    opened(tmp_path / "demo.mrb")
    tree = scene.GetSubjectHierarchyNode()

    def names(folder):
        children = vtk.vtkIdList()
        tree.GetItemChildren(tree.GetItemChildWithName(tree.GetSceneItemID(), folder), children)
        return [tree.GetItemDataNode(children.GetId(n)).GetName() for n in range(children.GetNumberOfIds())]

    assert names("CT+PET laplacian") == ["CT+PET laplacian", "CT+PET laplacian color"]
    assert names("CT+MR average") == ["CT+MR average"]


def test_the_slice_views_show_the_last_volume(scene, opened, tmp_path, ct, fused):
    write_mrb(tmp_path / "demo.mrb", [ct, fused])
    opened(tmp_path / "demo.mrb")
    shown = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert {view.GetLayoutName() for view in shown} == {"Red", "Yellow", "Green"}
    for view in shown:
        assert scene.GetNodeByID(view.GetBackgroundVolumeID()).GetClassName() == "vtkMRMLVectorVolumeNode"


def test_a_scene_that_cannot_be_written_leaves_the_one_that_is_there(tmp_path, ct, monkeypatch):
    path = tmp_path / "demo.mrb"
    path.write_bytes(b"older")

    class FullDisk(slicer.vtkMRMLScene):
        def WriteToMRB(self, path):
            Path(path).write_bytes(b"half")
            return False

    monkeypatch.setattr(slicer, "vtkMRMLScene", FullDisk)
    with pytest.raises(SaveError, match=r"demo\.mrb"):
        write_mrb(path, [ct])
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_may_be_relative(tmp_path, ct, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_mrb("scene.mrb", [ct]) == Path("scene.mrb")
    assert (tmp_path / "scene.mrb").stat().st_size > 0


def test_nothing_to_write_is_refused(tmp_path):
    with pytest.raises(InputError, match="no volume"):
        write_mrb(tmp_path / "demo.mrb", [])


def test_without_slicer_core_the_error_says_how_to_get_it(tmp_path, ct, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer", None)
    with pytest.raises(DependencyError, match=r"pip install \"medfusion\[slicer\]\""):
        write_mrb(tmp_path / "demo.mrb", [ct])
