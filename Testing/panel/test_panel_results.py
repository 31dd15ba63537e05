"""Results: shown beside their sources, made again from a saved scene, scored, charted."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from PySide6 import QtCore

from MedFusionLib.mrml import node_from_volume, volume_from_node
from MedFusionLib.volume import Volume
from pythonqt import unwrap


@pytest.fixture
def fused(chosen):
    """The panel with one result."""
    chosen.click("applyButton")
    chosen.finish()
    return chosen


def views():
    """Layout name -> (background, foreground, opacity, linked) of the slice views."""
    found = {}
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        layers = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(view)
        nodes = [layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID()]
        shown = [node and slicer.mrmlScene.GetNodeByID(node) for node in nodes]
        found[view.GetLayoutName()] = (*shown, layers.GetForegroundOpacity(), layers.GetLinkedControl())
    return found


def table_of(panel):
    """Column name -> values of the table that the panel shows, from top to bottom."""
    model = unwrap(panel.ui.scoreTable).model()
    return {
        model.headerData(column, QtCore.Qt.Horizontal): [
            model.data(model.index(row, column)) for row in range(model.rowCount())
        ]
        for column in range(model.columnCount())
    }


def test_a_source_is_one_click_away_as_a_blend_over_the_reference(fused, nodes):
    fused.pick("viewComboBox", "blend")
    assert views()["Red"][:2] == (nodes["CT"], nodes["MR"])
    assert views()["Red"][2] == 0.5
    fused.pick("viewComboBox", "fused")
    assert views()["Red"][:2] == (fused.widget.results.current, None)
    assert all(linked for *_nodes, linked in views().values())


def test_the_checkerboard_mixes_the_sources_in_a_node_nobody_edits_or_saves(fused, nodes, scene):
    fused.pick("viewComboBox", "checkerboard")
    fused.finish()
    board = views()["Red"][0]
    array = volume_from_node(board, "OTHER").array
    assert board.GetHideFromEditors()
    assert not board.GetSaveWithScene()
    assert array.shape == volume_from_node(nodes["CT"]).array.shape
    fused.pick("viewComboBox", "checkerboard")
    fused.finish()
    assert views()["Red"][0] is board
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 5
    fused.picture("checkerboard")


def test_side_by_side_gives_each_volume_a_linked_view(panel, nodes):
    panel.widget.inputs.choose([nodes["CT"], nodes["MR"], nodes["PET"]])
    panel.click("applyButton")
    panel.finish()
    panel.pick("viewComboBox", "sideBySide")
    shown = views()
    found = [shown[f"MedFusion{n}"][0] for n in (1, 2, 3, 4)]
    assert found == [nodes["CT"], nodes["MR"], nodes["PET"], panel.widget.results.current]
    assert all(shown[f"MedFusion{n}"][3] for n in (1, 2, 3, 4))


def test_side_by_side_works_twice_with_another_number_of_sources(fused, nodes):
    fused.pick("viewComboBox", "sideBySide")
    fused.widget.inputs.choose([nodes["CT"], nodes["MR"], nodes["PET"]])
    fused.click("applyButton")
    fused.finish()
    fused.pick("viewComboBox", "sideBySide")
    assert views()["MedFusion4"][0] == fused.widget.results.current


@pytest.mark.parametrize("color", ["auto", "pet-heat"])
def test_fuse_again_from_a_saved_scene_gives_the_same_voxels(panel, nodes, scene, reopened, color):
    panel.widget.inputs.choose([nodes["CT"], nodes["PET"]])
    panel.child("reference2").click()
    panel.child("levelsParameter").setValue(2)
    region = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    region.SetCenterWorld([3, 0, 0])
    region.SetSizeWorld([80, 100, 60])
    panel.ui.regionSelector.setCurrentNode(region)
    panel.pick("colorComboBox", color)
    panel.click("applyButton")
    panel.finish()
    before = volume_from_node(panel.widget.results.current, "OTHER").array
    name = panel.widget.results.current.GetName()
    reopened()
    panel.step()
    assert panel.widget.results.current.GetName() == name
    panel.click("againButton")
    panel.finish()
    again = panel.widget.results.current
    assert again.GetName() == f"{name} again"
    after = volume_from_node(again, "OTHER").array
    saved = next(n for n in slicer.util.getNodesByClass("vtkMRMLVolumeNode") if n.GetName() == name)
    assert np.array_equal(after, volume_from_node(saved, "OTHER").array)
    assert after.shape == before.shape
    panel.picture(f"again_{color}")


def test_a_result_whose_source_is_gone_says_so(fused, nodes, scene):
    scene.RemoveNode(nodes["MR"])
    fused.click("againButton")
    assert "Load the source volumes again" in fused.ui.statusLabel.text
    assert not fused.widget.run.running
    for mode in ("blend", "checkerboard", "sideBySide", "fused"):
        fused.pick("viewComboBox", mode)
        fused.finish()


def test_a_result_that_is_deleted_leaves_the_list(fused, scene):
    scene.RemoveNode(fused.widget.results.current)
    assert fused.ui.resultsList.count == 0
    assert not fused.ui.againButton.enabled
    assert not fused.ui.scoreButton.enabled


def test_scores_are_a_table_in_the_panel_that_sorts(fused, scene):
    fused.click("scoreButton")
    fused.finish()
    table = fused.ui.tableSelector.currentNode()
    assert table.GetName() == "CT+MR laplacian scores"
    assert len(table_of(fused)["metric"]) >= 7
    assert unwrap(fused.ui.scoreTable).isSortingEnabled()
    unwrap(fused.ui.scoreTable).sortByColumn(2, QtCore.Qt.DescendingOrder)
    values = table_of(fused)["value"]
    assert values == sorted(values, reverse=True)
    fused.picture("scores")


def test_several_results_are_scored_side_by_side_in_one_chart(fused, scene):
    fused.pick("methodComboBox", "average")
    fused.click("applyButton")
    fused.finish()
    fused.click("scoreButton")
    fused.finish()
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 2
    columns = table_of(fused)
    assert [name for name in columns if name != "metric"] == ["CT+MR laplacian scores", "CT+MR average scores"]
    fused.click("chartButton")
    chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    assert slicer.app.applicationLogic().GetSelectionNode().GetActivePlotChartID() == chart.GetID()
    series = [chart.GetNthPlotSeriesNode(n) for n in range(2)]
    assert all(each.GetPlotType() == each.PlotTypeBar for each in series)
    fused.picture("several_scores")


def test_only_the_checked_results_are_scored(fused, scene):
    first = fused.widget.results.current
    fused.pick("methodComboBox", "average")
    fused.click("applyButton")
    fused.finish()
    fused.check("resultsList", [first.GetID()])
    fused.click("scoreButton")
    fused.finish()
    tables = [n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLTableNode")]
    assert [name for name in tables if "average" in name] == []


def test_the_table_is_shown_beside_the_views(fused):
    fused.click("scoreButton")
    fused.finish()
    fused.click("tableButton")
    table = fused.ui.tableSelector.currentNode()
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveTableID() == table.GetID()
    layout = slicer.app.layoutManager().layoutLogic().GetLayoutNode().GetViewArrangement()
    assert layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView


def ball(nodes, scene, kind):
    """A ball in the middle of the head, as a label map or as a segmentation."""
    grid = volume_from_node(nodes["CT"]).grid
    k, j, i = np.indices(grid.shape)
    inside = ((k - 6) / 3) ** 2 + ((j - 20) / 8) ** 2 + ((i - 18) / 8) ** 2 < 1
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Ball")
    drawn = node_from_volume(scene, Volume(inside.astype(np.float32), grid, "OTHER", "drawn"))
    labels.SetAndObserveImageData(drawn.GetImageData())
    labels.CopyOrientation(drawn)
    scene.RemoveNode(drawn)
    if kind == "label map":
        return labels
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Ball")
    segmentation.CreateDefaultDisplayNodes()
    array = slicer.util.arrayFromVolume(labels)
    slicer.util.updateVolumeFromArray(labels, array.astype(np.uint8))
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labels, segmentation)
    scene.RemoveNode(labels)
    return segmentation


@pytest.mark.parametrize("kind", ["label map", "segmentation"])
def test_a_mask_says_where_to_score(fused, nodes, scene, kind):
    fused.click("scoreButton")
    fused.finish()
    everywhere = table_of(fused)["value"]
    fused.ui.maskSelector.setCurrentNode(ball(nodes, scene, kind))
    before = scene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode")
    fused.click("scoreButton")
    fused.finish()
    assert table_of(fused)["value"] != everywhere
    assert scene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == before


def test_a_lesion_adds_how_well_it_stands_out(fused, nodes, scene):
    fused.ui.lesionSelector.setCurrentNode(ball(nodes, scene, "segmentation"))
    fused.click("scoreButton")
    fused.finish()
    assert "cnr" in table_of(fused)["metric"]


def test_a_segmentation_that_shows_nothing_is_told(fused, scene):
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
    empty.CreateDefaultDisplayNodes()
    fused.ui.maskSelector.setCurrentNode(empty)
    fused.click("scoreButton")
    assert "no visible segment" in fused.ui.statusLabel.text
    assert scene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0
