"""The live preview: the slice that is looked at, fused over the reference."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedFusionLib.mrml import volume_from_node


def preview_node(scene):
    found = [n for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene) if n.GetHideFromEditors()]
    return found[0] if found else None


def shown(panel):
    """Wait until the preview rests; the voxels it shows."""
    live = panel.widget.preview
    panel.wait(lambda: live._preview is not None and not live._preview.busy and live._preview._answer is None)
    return volume_from_node(preview_node(panel.desktop.scene), "OTHER").array.copy()


def red(panel):
    return panel.widget.preview.view


def layers(view):
    return slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(view)


def image_of(view, side=120):
    """What Slicer's own slice logic paints in a view: (side, side, 3)."""
    logic = slicer.app.layoutManager().slice_logics[view.GetLayoutName()]
    logic.ResizeSliceNode(side, side)
    logic.FitSliceToBackground()
    logic.UpdatePipeline()
    copied = vtk.vtkImageShiftScale()
    copied.SetOutputScalarTypeToUnsignedChar()
    copied.SetInputConnection(logic.GetImageDataConnection())
    copied.Update()
    image = copied.GetOutput()
    assert image.GetDimensions() == (side, side, 1)
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(side, side, -1)[::-1, :, :3].copy()


def test_the_preview_lies_over_the_reference_in_a_node_nobody_edits_or_saves(chosen, nodes, scene):
    shown(chosen)
    node = preview_node(scene)
    assert not node.GetSaveWithScene()
    assert not node.GetDisplayNode().GetSaveWithScene()
    assert layers(red(chosen)).GetBackgroundVolumeID() == nodes["CT"].GetID()
    assert layers(red(chosen)).GetForegroundVolumeID() == node.GetID()
    assert node.GetImageData().GetDimensions()[2] == 1
    assert chosen.picture("preview").stat().st_size


def test_a_parameter_changes_the_slice_at_once(chosen):
    before = shown(chosen)
    chosen.child("levelsParameter").setValue(1)
    assert not np.array_equal(before, shown(chosen))


def test_after_a_quick_drag_the_last_value_is_shown(chosen):
    chosen.child("levelsParameter").setValue(2)
    wanted = shown(chosen)
    for value in (8, 1, 7, 3, 6, 5, 2):
        chosen.child("levelsParameter").setValue(value)
        chosen.step()
    assert np.array_equal(shown(chosen), wanted)


def test_the_first_slice_does_not_count_for_the_time_as_it_waits_for_pytorch(chosen, monkeypatch):
    asked = []
    ask = chosen.widget.preview._preview.ask
    monkeypatch.setattr(chosen.widget.preview._preview, "ask", lambda *a, **k: (asked.append(a), ask(*a, **k)))
    shown(chosen)
    assert len(asked) == 1
    chosen.widget.preview._asked = None
    chosen.widget.preview.ask()
    shown(chosen)
    assert len(asked) == 2


def test_the_preview_follows_the_slice(chosen, scene):
    before = shown(chosen)
    red(chosen).SetSliceOffset(red(chosen).GetSliceOffset() + 24)
    after = shown(chosen)
    assert not np.array_equal(before, after)
    center = volume_from_node(preview_node(scene), "OTHER").grid.corners[:, 2]
    assert np.abs(center - red(chosen).GetSliceOffset()).max() <= 4


def test_the_preview_follows_the_view_that_moved_last_and_gives_the_other_back(chosen, nodes):
    red_view = red(chosen)
    layers(red_view).SetBackgroundVolumeID(nodes["PET"].GetID())
    shown(chosen)
    yellow = next(n for n in slicer.util.getNodesByClass("vtkMRMLSliceNode") if n.GetLayoutName() == "Yellow")
    yellow.SetSliceOffset(10)
    assert shown(chosen).shape[2] == 1
    assert layers(yellow).GetForegroundVolumeID()
    assert layers(red_view).GetForegroundVolumeID() is None


def test_the_view_shows_the_fused_slice_and_before_shows_the_reference(chosen):
    shown(chosen)
    after = image_of(red(chosen))
    chosen.click("beforeButton")
    before = image_of(red(chosen))
    assert not np.array_equal(before, after)
    layers(red(chosen)).SetForegroundVolumeID(None)
    assert np.array_equal(image_of(red(chosen)), before)
    chosen.picture("before")


def test_switching_it_off_leaves_views_and_scene_as_they_were(chosen, nodes, scene):
    chosen.ui.livePreviewCheckBox.checked = False
    layers(red(chosen)).SetBackgroundVolumeID(nodes["PET"].GetID())
    count = scene.GetNumberOfNodes()
    chosen.ui.livePreviewCheckBox.checked = True
    shown(chosen)
    chosen.ui.livePreviewCheckBox.checked = False
    assert layers(red(chosen)).GetBackgroundVolumeID() == nodes["PET"].GetID()
    assert layers(red(chosen)).GetForegroundVolumeID() is None
    assert scene.GetNumberOfNodes() == count
    assert chosen.ui.previewLabel.text == ""


def test_it_says_the_device_and_how_long_the_volume_will_take(chosen):
    shown(chosen)
    text = chosen.ui.previewLabel.text
    assert text.startswith("Laplacian pyramid on ")
    assert "the volume will take" in text


def test_it_says_that_it_shows_the_volumes_before_registration(chosen):
    shown(chosen)
    assert "registration" not in chosen.ui.previewLabel.text
    chosen.pick("registerComboBox", "rigid")
    shown(chosen)
    assert "before registration" in chosen.ui.previewLabel.text


def test_volumes_are_copied_once_while_only_choices_change(chosen, nodes, monkeypatch):
    shown(chosen)
    copied = []
    plan = chosen.widget.logic.plan
    monkeypatch.setattr(chosen.widget.logic, "plan", lambda *given: (copied.append(given), plan(*given))[1])
    chosen.pick("deviceComboBox", "cpu")
    chosen.child("reference2").click()
    shown(chosen)
    assert copied == []
    chosen.child("volume2").setCurrentNode(nodes["PET"])
    shown(chosen)
    assert len(copied) == 1


def test_a_slice_beside_the_volumes_is_told(chosen):
    shown(chosen)
    red(chosen).SetSliceOffset(5000)
    chosen.wait(lambda: "Slice" in chosen.ui.previewLabel.text, "an error")
    assert layers(red(chosen)).GetForegroundVolumeID() is None


def test_it_fuses_inside_the_region_and_begins_anew_when_the_region_was_dragged(chosen, scene):
    region = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    region.SetCenterWorld([0, 0, 0])
    region.SetSizeWorld([40, 58, 48])
    chosen.ui.regionSelector.setCurrentNode(region)
    assert shown(chosen).shape == (1, 14, 10)
    region.SetSizeWorld([80, 58, 48])
    region.InvokeEvent(region.PointEndInteractionEvent)
    assert shown(chosen).shape == (1, 14, 20)


def test_a_result_ends_the_preview_and_takes_the_views(chosen):
    shown(chosen)
    chosen.click("applyButton")
    chosen.finish()
    result = chosen.widget.results.current
    assert not chosen.ui.livePreviewCheckBox.checked
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        assert layers(view).GetBackgroundVolumeID() == result.GetID()
        assert layers(view).GetForegroundVolumeID() is None
        assert layers(view).GetLinkedControl()


def test_color_is_shown_in_color(panel, nodes, scene):
    panel.widget.inputs.choose([nodes["CT"], nodes["PET"]])
    panel.pick("colorComboBox", "pet-heat")
    shown(panel)
    node = scene.GetNodeByID(layers(red(panel)).GetForegroundVolumeID())
    assert node.GetClassName() == "vtkMRMLVectorVolumeNode"


@pytest.mark.parametrize("tilt", [10, 40])
def test_an_oblique_reference_is_cut_across_its_own_slices(panel, scene, heads, tilt):
    from MedFusionLib.mrml import node_from_volume
    from MedFusionLib.phantom import head_phantom, offset_matrix
    from MedFusionLib.volume import Grid

    grid = heads["CT"].grid
    oblique = Grid(grid.shape, offset_matrix((tilt, 0, 0, 0, 0, 0)) @ grid.affine)
    nodes = [node_from_volume(scene, head_phantom(modality, grid=oblique)) for modality in ("CT", "MR")]
    panel.widget.inputs.choose(nodes)
    array = shown(panel)
    assert array.shape[0] == 1
    # The view is turned onto the volume's slices: else only a strip of a slice would be seen.
    normal = [red(panel).GetSliceToRAS().GetElement(row, 2) for row in range(3)]
    assert abs(np.dot(normal, oblique.directions[:, 2])) == pytest.approx(1, abs=1e-4)
