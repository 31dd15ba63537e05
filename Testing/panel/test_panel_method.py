"""Choosing a method by family, and the form that is made from its signature."""

from __future__ import annotations

import json

import pytest
from PySide6 import QtWidgets

from MedFusionLib.mrml import STORY
from MedFusionLib.registry import list_methods
from pythonqt import unwrap


def form_of(panel):
    return unwrap(panel.ui.parametersFrame).layout()


def rows_of(panel):
    """(label, widget) of the form."""
    form = form_of(panel)
    parts = (QtWidgets.QFormLayout.LabelRole, QtWidgets.QFormLayout.FieldRole)
    return [tuple(form.itemAt(row, part).widget() for part in parts) for row in range(form.rowCount())]


def offered(panel):
    box = unwrap(panel.ui.methodComboBox)
    return {box.itemData(n) for n in range(box.count())}


def test_a_family_offers_its_methods_and_all_offers_every_one(panel):
    assert offered(panel) == set(list_methods())
    panel.pick("familyComboBox", "pulse")
    assert offered(panel) == {name for name, method in list_methods().items() if method.family == "pulse"}
    assert panel.parameters.method in offered(panel)
    panel.pick("familyComboBox", "")
    assert offered(panel) == set(list_methods())
    panel.picture("families")


def test_each_method_shows_its_sentence_its_reference_and_its_parameters(panel):
    for name, method in list_methods().items():
        panel.pick("methodComboBox", name)
        text = panel.ui.methodLabel.text
        assert method.summary.split("'")[0] in text.replace("&#x27;", "'")
        assert method.reference.split(" ")[0] in text
        rows = rows_of(panel)
        assert len(rows) == len(method.parameters)
        for (label, widget), parameter in zip(rows, method.parameters.values(), strict=True):
            assert label.buddy() is widget
            assert parameter.help in widget.toolTip()
            assert panel.widget.methodForm._fields[parameter.name].value == parameter.default
            if hasattr(widget, "suffix") or widget.metaObject().indexOfProperty("suffix") >= 0:
                assert parameter.bounds.unit in widget.property("suffix")
                assert widget.property("minimum") == parameter.bounds.low
                assert widget.property("maximum") == parameter.bounds.high


def test_a_doi_is_a_link(panel):
    panel.pick("methodComboBox", "laplacian")
    assert '<a href="https://doi.org/10.1109/TCOM.1983.1095851">' in panel.ui.methodLabel.text


def test_changed_parameters_are_kept_by_method_and_reach_the_result(chosen):
    chosen.child("levelsParameter").setValue(2)
    assert json.loads(chosen.parameters.settings) == {"laplacian": {"levels": 2}}
    chosen.pick("methodComboBox", "two_scale")
    chosen.child("sigmaParameter").setValue(7.5)
    chosen.picture("two_scale")
    chosen.pick("methodComboBox", "laplacian")
    assert chosen.child("levelsParameter").property("value") == 2
    chosen.click("applyButton")
    chosen.finish()
    story = json.loads(chosen.widget.results.current.GetAttribute(STORY))
    assert (story["method"], story["parameters"]["levels"]) == ("laplacian", 2)


def test_reset_goes_back_to_the_defaults_of_this_method_only(chosen):
    chosen.child("levelsParameter").setValue(2)
    chosen.pick("methodComboBox", "two_scale")
    chosen.child("sigmaParameter").setValue(7.5)
    chosen.click("resetButton")
    assert json.loads(chosen.parameters.settings) == {"laplacian": {"levels": 2}}
    assert chosen.child("sigmaParameter").property("value") == 4


def test_a_value_out_of_bounds_is_said_and_not_used(chosen):
    chosen.pick("methodComboBox", "guided")
    line = chosen.child("eps_detailParameter")
    line.setText("7")
    line.editingFinished.emit()
    assert "found '7'" in chosen.ui.parameterLabel.text
    assert chosen.ui.parameterLabel.visible
    assert not chosen.ui.applyButton.enabled
    chosen.pick("deviceComboBox", "cpu")
    assert line.text() == "7"
    chosen.picture("out_of_bounds")
    assert json.loads(chosen.parameters.settings) == {}
    line.setText("1e-5")
    line.editingFinished.emit()
    assert json.loads(chosen.parameters.settings) == {"guided": {"eps_detail": 1e-5}}
    assert chosen.ui.parameterLabel.text == ""
    assert chosen.ui.applyButton.enabled


@pytest.mark.parametrize("way", ["reset", "another method"])
def test_a_wrong_value_is_left_behind_by_reset_and_by_another_method(chosen, way):
    chosen.pick("methodComboBox", "guided")
    line = chosen.child("eps_detailParameter")
    line.setText("7")
    line.editingFinished.emit()
    if way == "reset":
        chosen.click("resetButton")
        assert line.text() == "1e-06"
    else:
        chosen.pick("methodComboBox", "laplacian")
    assert chosen.ui.applyButton.enabled
    assert not chosen.ui.parameterLabel.visible


def test_color_and_device_are_kept_and_used(panel, nodes):
    panel.widget.inputs.choose([nodes["CT"], nodes["PET"]])
    panel.pick("colorComboBox", "pet-heat")
    panel.pick("deviceComboBox", "cpu")
    panel.click("applyButton")
    panel.finish()
    result = panel.widget.results.current
    assert result.GetClassName() == "vtkMRMLVectorVolumeNode"
    assert json.loads(result.GetAttribute(STORY))["plan"]["device"] == "cpu"


def test_a_device_that_is_not_here_is_told_in_the_panel_and_in_no_window(chosen):
    torch = pytest.importorskip("torch")
    if torch.backends.mps.is_available():
        pytest.skip("this machine has that device")
    chosen.pick("deviceComboBox", "mps")
    chosen.click("applyButton")
    chosen.finish()
    assert "accepted: auto" in chosen.ui.statusLabel.text
    assert chosen.desktop.errors == []
    chosen.picture("no_such_device")
