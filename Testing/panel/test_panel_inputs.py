"""The list of volumes: which, of what modality, which is the reference, and what is said about them."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
import slicer

from MedFusionLib.mrml import MODALITY, STORY, node_from_volume, volume_from_node
from MedFusionLib.phantom import head_phantom
from pythonqt import unwrap


def unmarked(node, name):
    """A volume as from a file: nothing but its name tells what it is."""
    node.RemoveAttribute(MODALITY)
    node.SetName(name)
    return node


def test_in_an_empty_scene_the_panel_says_what_is_missing(panel):
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == panel.ui.missingLabel.text == "Choose two volumes first."
    assert panel.child("volume2").isVisible()
    assert panel.picture("empty").stat().st_size > 0


def test_the_modality_that_the_volume_tells_is_shown(chosen):
    assert chosen.child("mark1").text() == "CT, as the volume says"
    assert chosen.ui.applyButton.enabled


def test_a_dicom_header_tells_the_modality(panel, nodes, scene):
    node = unmarked(nodes["PET"], "Series 4")
    tree = scene.GetSubjectHierarchyNode()
    tree.SetItemAttribute(tree.CreateItem(tree.GetSceneItemID(), node), "DICOM.Modality", "PT")
    panel.widget.inputs.choose([nodes["CT"], node])
    assert panel.child("mark2").text() == "PET, as the volume says"


@pytest.mark.parametrize(
    ("name", "modality"),
    [("Patient_T1w", "MR"), ("head CT", "CT"), ("MRBrainT2", "MR"), ("FDG PET corrected", "PET"), ("tc99m", "SPECT")],
)
def test_a_guess_is_marked_and_used(panel, nodes, name, modality):
    panel.widget.inputs.choose([nodes["CT"], unmarked(nodes["MR"], name)])
    mark = panel.child("mark2")
    assert mark.text() == f"\u26a0 {modality}? Guessed from the name: please check"
    assert mark.styleSheet()
    assert panel.ui.applyButton.enabled
    panel.picture("guessed")


@pytest.mark.parametrize("name", ["volume", "acted", "PET on CT"])
def test_what_no_name_tells_must_be_chosen(panel, nodes, name):
    panel.widget.inputs.choose([nodes["CT"], unmarked(nodes["MR"], name)])
    assert not panel.ui.applyButton.enabled
    assert panel.ui.missingLabel.text == f"Choose the modality of {name}."
    panel.child("modality2").setCurrentIndex(panel.child("modality2").findData("MR"))
    assert panel.ui.applyButton.enabled
    assert panel.child("mark2").isHidden()


def test_a_chosen_modality_reaches_the_result(chosen):
    chosen.child("modality2").setCurrentIndex(chosen.child("modality2").findData("OTHER"))
    chosen.click("applyButton")
    chosen.finish()
    story = json.loads(chosen.widget.results.current.GetAttribute(STORY))
    assert [source["modality"] for source in story["sources"]] == ["CT", "OTHER"]


def test_three_volumes_are_fused_on_the_grid_of_the_marked_one(chosen, nodes):
    chosen.click("addInputButton")
    chosen.wait(lambda: chosen.child("volume3").isVisible())
    chosen.child("volume3").setCurrentNode(nodes["PET"])
    chosen.child("reference2").click()
    assert chosen.parameters.reference == 1
    chosen.click("applyButton")
    chosen.finish()
    story = json.loads(chosen.widget.results.current.GetAttribute(STORY))
    assert len(story["sources"]) == 3
    assert story["plan"]["reference"] == 1
    chosen.picture("three_volumes")


def test_the_reference_stays_with_its_volume_when_a_row_goes(panel, nodes):
    panel.widget.inputs.choose([nodes["CT"], nodes["MR"], nodes["PET"]])
    panel.child("reference3").click()
    panel.child("remove1").click()
    assert list(panel.parameters.volumes) == [nodes["MR"], nodes["PET"]]
    assert panel.parameters.reference == 1
    assert panel.child("reference2").isChecked()
    assert panel.child("remove1").isHidden()


def test_one_volume_twice_is_refused(panel, nodes):
    panel.widget.inputs.choose([nodes["CT"], nodes["CT"]])
    assert panel.ui.missingLabel.text == "Choose different volumes: one is chosen twice."


def test_a_volume_that_is_deleted_is_chosen_no_longer(chosen, nodes, scene):
    scene.RemoveNode(nodes["MR"])
    assert chosen.parameters.volumes[1] is None
    assert not chosen.ui.applyButton.enabled


def test_a_node_that_left_the_scene_counts_as_none_even_if_it_is_remembered(module, nodes, scene):
    from MedFusionPanel.parameters import rowsOf

    scene.RemoveNode(nodes["MR"])
    # Slicer's own wrapper remembers the values that it read.
    remembered = types.SimpleNamespace(
        volumes=[nodes["CT"], nodes["MR"]], modalities=["auto", "auto"], transforms=[None, None]
    )
    assert rowsOf(remembered) == [(nodes["CT"], "auto", None), (None, "auto", None)]


def test_the_sample_is_made_chosen_and_shown(panel, heads, scene, monkeypatch):
    import MedFusionLib.phantom

    monkeypatch.setattr(MedFusionLib.phantom, "head_phantom", heads.get)
    panel.click("sampleButton")
    panel.finish()
    assert [node.GetName() for node in panel.parameters.volumes] == ["phantom CT", "phantom MR", "phantom PET"]
    assert panel.ui.applyButton.enabled
    assert "made here" in panel.ui.statusLabel.text
    panel.picture("sample")


def test_the_sample_is_registered_in_sample_data(module, scene, heads, monkeypatch):
    import MedFusionLib.phantom

    registered = []
    logic = types.SimpleNamespace(registerCustomSampleDataSource=lambda **facts: registered.append(facts))
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=logic))
    monkeypatch.setattr(MedFusionLib.phantom, "head_phantom", heads.get)
    module.MedFusion(types.SimpleNamespace())
    slicer.app.connected["startupCompleted()"]()
    (facts,) = registered
    # Sample Data joins these lists, so they must be there even where there is no file.
    assert all(facts[part] == [] for part in ("uris", "fileNames", "nodeNames", "loadFiles", "checksums"))
    assert [node.GetName() for node in facts["customDownloader"](None)] == ["phantom CT", "phantom MR", "phantom PET"]


def test_only_what_lies_in_the_region_is_fused(chosen, nodes, scene):
    region = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    region.SetCenterWorld([0, 0, 0])
    region.SetSizeWorld([40, 58, 48])
    chosen.ui.regionSelector.setCurrentNode(region)
    chosen.click("applyButton")
    chosen.finish()
    fused, whole = volume_from_node(chosen.widget.results.current).grid, volume_from_node(nodes["CT"]).grid
    assert fused.shape == (6, 14, 10)
    assert np.abs(fused.corners).max(0).round(3).tolist() <= [20, 29, 24]
    assert fused.spacing == pytest.approx(whole.spacing)
    chosen.picture("region")


def test_a_new_region_begins_as_the_box_of_the_reference(chosen, nodes, scene):
    region = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    unwrap(chosen.ui.regionSelector).nodeAddedByUser.emit(region)
    box, volume = [0.0] * 6, [0.0] * 6
    region.GetRASBounds(box)
    nodes["CT"].GetRASBounds(volume)
    assert box == pytest.approx(volume)


def test_a_region_without_a_box_is_told(chosen, scene):
    chosen.ui.regionSelector.setCurrentNode(scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI"))
    assert "Place it in a view" in chosen.ui.statusLabel.text


def test_transform_nodes_of_the_user_bring_the_volumes_together(panel, nodes, heads, scene):
    moved = head_phantom("MR", shape=(12, 40, 36), spacing=(4, 4, 8), offset=(0, 0, 0, 12, 0, 0))
    moving = node_from_volume(scene, moved, "moved MR")
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "MR to CT")
    matrix = slicer.util.vtkMatrixFromArray(np.array([[1, 0, 0, -12.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    transform.SetMatrixTransformToParent(matrix)
    panel.widget.inputs.choose([nodes["CT"], moving])
    assert panel.child("transform2").isHidden()
    panel.pick("registerComboBox", "transforms")
    assert panel.child("transform1").isHidden()
    panel.child("transform2").setCurrentNode(transform)
    panel.click("applyButton")
    panel.finish()
    plan = json.loads(panel.widget.results.current.GetAttribute(STORY))["plan"]
    assert plan["poses"][1][0][3] == pytest.approx(12)
    panel.picture("transform_nodes")


def test_registration_is_asked_of_the_library_and_makes_a_transform(chosen, monkeypatch):
    asked = {}
    compute = chosen.widget.logic.compute

    def noted(volumes, progress=None, **choices):
        asked.update(choices)
        return compute(volumes, progress=progress, **{**choices, "register": "none"})

    monkeypatch.setattr(chosen.widget.logic, "compute", noted)
    chosen.pick("registerComboBox", "rigid")
    chosen.click("applyButton")
    chosen.finish()
    assert asked["register"] == "rigid"


def test_volumes_that_look_unaligned_are_told_before_anything_is_fused(panel, nodes, scene):
    fine = {"shape": (24, 60, 54), "spacing": (3, 3, 6)}
    volumes = [head_phantom("CT", **fine), head_phantom("MR", **fine, offset=(0, 0, 0, 30, 0, 0))]
    panel.widget.inputs.choose([node_from_volume(scene, volume) for volume in volumes])
    panel.wait(lambda: panel.ui.warningLabel.text, "a warning")
    assert "\u26a0" in panel.ui.warningLabel.text
    assert panel.ui.warningLabel.visible
    panel.picture("unaligned")
    panel.child("volume2").setCurrentNode(None)
    assert panel.ui.warningLabel.text == ""
    assert not panel.ui.warningLabel.visible
