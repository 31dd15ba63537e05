"""Several methods side by side: a table, and one picture of all."""

from __future__ import annotations

import json

import pytest
import slicer

from pythonqt import unwrap

METHODS = ["average", "laplacian", "two_scale"]


@pytest.fixture
def ready(chosen):
    """The panel with three methods checked, which are quick."""
    chosen.ui.compareCollapsibleButton.collapsed = False
    chosen.check("compareList", METHODS)
    return chosen


def rows(table):
    column = table.GetTable().GetColumnByName("method")
    return [column.GetValue(n) for n in range(table.GetNumberOfRows())]


@pytest.mark.parametrize("on", ["slice", "volume"])
def test_the_checked_methods_are_scored_and_shown_in_one_picture(ready, on):
    ready.pick("comparedOnComboBox", on)
    ready.click("compareButton")
    ready.finish()
    table = ready.ui.tableSelector.currentNode()
    assert sorted(rows(table)) == METHODS
    assert {"mean_rank", "seconds", "qabf"} <= {
        table.GetTable().GetColumnName(n) for n in range(table.GetNumberOfColumns())
    }
    assert not unwrap(ready.ui.pictureLabel).pixmap().isNull()
    ready.picture(f"compare_{on}")


def test_the_slice_that_is_looked_at_is_compared(ready, monkeypatch):
    asked = {}
    compute = ready.widget.logic.computeComparison

    def noted(volumes, methods, **choices):
        asked.update(choices)
        return compute(volumes, methods, **choices)

    monkeypatch.setattr(ready.widget.logic, "computeComparison", noted)
    yellow = next(n for n in slicer.util.getNodesByClass("vtkMRMLSliceNode") if n.GetLayoutName() == "Yellow")
    yellow.SetSliceOffset(7)
    ready.click("compareButton")
    ready.finish()
    assert asked["axis"] == 2
    assert abs(asked["at"][0]) == pytest.approx(7)


def test_the_parameters_of_the_form_are_used(ready, monkeypatch):
    asked = {}
    ready.child("levelsParameter").setValue(2)
    compute = ready.widget.logic.computeComparison

    def noted(volumes, methods, **choices):
        asked.update(choices)
        return compute(volumes, methods, **choices)

    monkeypatch.setattr(ready.widget.logic, "computeComparison", noted)
    ready.click("compareButton")
    ready.finish()
    assert asked["parameters"]["laplacian"] == {"levels": 2}


def test_what_is_checked_is_kept(ready):
    assert sorted(json.loads(ready.parameters.compared)) == METHODS


def test_fewer_than_two_methods_are_refused_in_a_sentence(ready):
    ready.check("compareList", ["average"])
    ready.click("compareButton")
    ready.finish()
    assert "two or more different ones" in ready.ui.statusLabel.text


def test_a_comparison_can_be_canceled(ready, scene):
    ready.pick("comparedOnComboBox", "volume")
    ready.press("compareButton")
    ready.press("cancelButton")
    ready.finish()
    assert ready.ui.statusLabel.text == "Canceled."
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_the_picture_can_be_enlarged(ready):
    assert not ready.ui.enlargeButton.visible
    ready.click("compareButton")
    ready.finish()
    assert ready.ui.enlargeButton.visible
    ready.click("enlargeButton")
    window = unwrap(ready.widget.compare._window)
    assert window.isVisible()
    assert window.widget().pixmap().width() > 500
    window.close()
