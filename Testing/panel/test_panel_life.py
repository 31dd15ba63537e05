"""The panel in a scene that is saved, loaded and closed; on the keyboard; in another language; without PyTorch."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import pytest
import slicer
from PySide6 import QtCore, QtWidgets

from pythonqt import unwrap

ROOT = Path(__file__).parents[2]
FORM = ROOT / "MedFusion/Resources/UI/MedFusion.ui"


def test_every_choice_comes_back_with_the_scene(chosen, nodes, scene, reopened):
    chosen.click("addInputButton")
    chosen.child("volume3").setCurrentNode(nodes["PET"])
    chosen.child("modality2").setCurrentIndex(chosen.child("modality2").findData("OTHER"))
    chosen.child("reference2").click()
    region = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "My region")
    region.SetCenterWorld([0, 0, 0])
    region.SetSizeWorld([60, 60, 60])
    chosen.ui.regionSelector.setCurrentNode(region)
    chosen.pick("registerComboBox", "affine")
    chosen.pick("methodComboBox", "two_scale")
    chosen.child("sigmaParameter").setValue(7.5)
    chosen.pick("colorComboBox", "hot")
    chosen.pick("deviceComboBox", "cpu")
    chosen.check("compareList", ["average", "maximum"])
    reopened()
    chosen.step()
    names = [chosen.child(f"volume{n}").currentText() for n in (1, 2, 3)]
    assert names == ["phantom CT", "phantom MR", "phantom PET"]
    assert chosen.child("modality2").currentData() == "OTHER"
    assert chosen.child("reference2").isChecked()
    assert chosen.ui.regionSelector.currentNode().GetName() == "My region"
    picked = {name: getattr(chosen.ui, f"{name}ComboBox").currentData for name in ("register", "method", "color")}
    assert picked == {"register": "affine", "method": "two_scale", "color": "hot"}
    assert chosen.ui.deviceComboBox.currentData == "cpu"
    assert chosen.child("sigmaParameter").property("value") == 7.5
    assert sorted(json.loads(chosen.parameters.compared)) == ["average", "maximum"]
    box = [0.0] * 6
    chosen.ui.regionSelector.currentNode().GetRASBounds(box)
    assert box == pytest.approx([-30, 30] * 3)
    assert chosen.ui.applyButton.enabled
    assert chosen.ui.statusLabel.text == ""
    chosen.picture("reopened")


def test_a_scene_keeps_several_sets_of_parameters(chosen, scene, reopened):
    chosen.pick("methodComboBox", "two_scale")
    chosen.click("newSetButton")
    assert chosen.ui.methodComboBox.currentData == "two_scale"
    assert [chosen.child(f"volume{n}").currentText() for n in (1, 2)] == ["phantom CT", "phantom MR"]
    chosen.pick("methodComboBox", "average")
    box = chosen.ui.parameterSetComboBox
    names = [box.itemText(number) for number in range(box.count)]
    assert len(set(names)) == 2
    choose_set(chosen, 0)
    assert chosen.ui.methodComboBox.currentData == "two_scale"
    choose_set(chosen, 1)
    assert chosen.ui.methodComboBox.currentData == "average"
    reopened()
    found = {chosen.widget.logic.parameterSets()[n].GetName(): n for n in range(2)}
    assert sorted(found) == sorted(names)
    methods = []
    for number in range(2):
        choose_set(chosen, number)
        methods.append(chosen.ui.methodComboBox.currentData)
    assert methods == ["two_scale", "average"]


def test_a_set_that_is_deleted_gives_way_to_the_scenes_own(chosen, scene):
    chosen.click("newSetButton")
    scene.RemoveNode(chosen.parameters.parameterNode)
    chosen.step()
    assert chosen.parameters.parameterNode.GetSingletonTag() == "MedFusion"
    assert chosen.ui.parameterSetComboBox.count == 1


def choose_set(panel, number):
    """As a user does in the box."""
    panel.ui.parameterSetComboBox.setCurrentIndex(number)
    panel.widget.onSetChosen()
    panel.step()


def test_the_preview_is_not_saved(chosen, scene, reopened):
    chosen.wait(lambda: "the volume will take" in chosen.ui.previewLabel.text)
    chosen.ui.livePreviewCheckBox.checked = False
    chosen.ui.livePreviewCheckBox.checked = True
    chosen.wait(lambda: "the volume will take" in chosen.ui.previewLabel.text)
    chosen.widget.exit()
    reopened()
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert not any("preview" in name for name in names)


def test_a_scene_that_is_closed_leaves_an_empty_panel(chosen, scene):
    scene.Clear(False)
    chosen.step()
    assert chosen.child("volume1").currentNode() is None
    assert not chosen.ui.applyButton.enabled


def test_a_panel_that_is_not_open_leaves_a_new_scene_alone(chosen, scene):
    chosen.widget.exit()
    chosen.widget.parent.isEntered = False
    scene.Clear(False)
    assert chosen.parameters is None


def test_cleanup_leaves_no_thread_no_observer_and_no_preview(module, desktop, nodes, problems):
    from driver import Driver

    panel = Driver(module, desktop, problems)
    panel.widget.inputs.choose([nodes["CT"], nodes["MR"]])
    preview = panel.widget.preview
    panel.close()
    assert preview._preview is None
    assert not any(node.GetHideFromEditors() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
    desktop.scene.Clear(False)
    assert problems == []


def focusable(panel):
    """Visible widgets that a user must reach with the keyboard."""
    kinds = (QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QAbstractItemView, QtWidgets.QLineEdit)
    found = panel.widget.window.findChildren(QtWidgets.QWidget)
    return [w for w in found if isinstance(w, kinds) and w.isVisible() and w.isEnabled() and w.objectName()]


def test_every_control_is_reached_with_the_tab_key(chosen):
    reached, start = set(), unwrap(chosen.ui.addInputButton)
    widget = start.nextInFocusChain()
    while widget is not start:
        if widget.focusPolicy() & QtCore.Qt.TabFocus:
            reached.add(widget.objectName())
        widget = widget.nextInFocusChain()
    missed = [w.objectName() for w in focusable(chosen) if w.objectName() not in reached and w is not start]
    assert [name for name in missed if not name.startswith("qt_")] == []


def test_the_tab_key_goes_from_top_to_bottom(chosen):
    start = widget = chosen.child("reference1")
    order = []
    while widget is not start or not order:
        if widget.focusPolicy() & QtCore.Qt.TabFocus:
            # Of a slider its spin box has the focus.
            order.append(widget.objectName() or widget.parent().objectName())
        widget = widget.nextInFocusChain()
    wanted = ["reference1", "volume1", "modality1", "volume2", "addInputButton", "methodComboBox", "levelsParameter"]
    wanted += ["lowParameter", "resetButton", "livePreviewCheckBox", "applyButton", "resultsList", "scoreButton"]
    places = [order.index(name) for name in wanted]
    assert places == sorted(places)


def test_every_control_of_the_form_has_a_tool_tip_and_choosers_have_a_buddy(panel):
    form = ElementTree.parse(FORM)
    buddies = {prop.find("cstring").text for prop in form.iter("property") if prop.get("name") == "buddy"}
    for widget in form.iter("widget"):
        kind, name = widget.get("class"), widget.get("name")
        if kind in ("QComboBox", "qMRMLNodeComboBox"):
            assert name in buddies, name
        if kind in ("QComboBox", "qMRMLNodeComboBox", "QPushButton", "QCheckBox", "QListWidget", "qMRMLTableView"):
            assert getattr(panel.ui, name).toolTip, name


def test_no_two_controls_share_a_mnemonic():
    texts = [
        prop.find("string").text
        for prop in ElementTree.parse(FORM).iter("property")
        if prop.get("name") == "text" and "&" in (prop.find("string").text or "")
    ]
    letters = [text[text.index("&") + 1].lower() for text in texts]
    assert sorted(letters) == sorted(set(letters))


def test_every_widget_that_the_panel_names_is_in_its_form(module):
    import re

    named = {widget.get("name") for widget in ElementTree.parse(FORM).iter("widget")}
    files = [ROOT / "MedFusion/MedFusion.py", *(ROOT / "MedFusion/MedFusionPanel").glob("*.py")]
    used = {name for path in files for name in re.findall(r"ui\.(\w+)", path.read_text(encoding="utf-8"))}
    assert used <= named | {"py"}
    bound = {
        prop.find("string").text
        for prop in ElementTree.parse(FORM).iter("property")
        if prop.get("name") == "SlicerParameterName"
    }
    assert bound == {"region", "mask", "lesion", "outputVolume", "livePreview"}
    selectors = {w.get("name") for w in ElementTree.parse(FORM).iter("widget") if w.get("class") == "qMRMLNodeComboBox"}
    assert selectors == {c.find("receiver").text for c in ElementTree.parse(FORM).iter("connection")}


def test_texts_made_in_python_are_translated(desktop, monkeypatch, problems):
    monkeypatch.syspath_prepend(str(ROOT / "MedFusion"))
    monkeypatch.setattr(sys.modules["slicer.i18n"], "tr", lambda text: f"~{text}")
    for name in [name for name in sys.modules if name.split(".")[0] in ("MedFusion", "MedFusionPanel")]:
        monkeypatch.delitem(sys.modules, name)
    from driver import Driver

    panel = Driver(importlib.import_module("MedFusion"), desktop, problems)
    assert panel.ui.missingLabel.text.startswith("~")
    for name in ("register", "family", "color", "device", "view", "comparedOn"):
        assert unwrap(getattr(panel.ui, f"{name}ComboBox")).itemText(0).startswith("~"), name
    panel.close()
    for name in [name for name in sys.modules if name.split(".")[0] in ("MedFusion", "MedFusionPanel")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def lacking(monkeypatch):
    """Python without PyTorch."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))


def test_without_pytorch_one_button_says_what_to_do_and_the_rest_works(lacking, panel, nodes):
    panel.widget.inputs.choose([nodes["CT"], nodes["MR"]])
    assert panel.ui.torchFrame.visible
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Install PyTorch first."
    assert not panel.ui.compareButton.enabled
    assert panel.ui.sampleButton.enabled
    assert panel.child("mark1").text() == "CT, as the volume says"
    assert panel.widget.preview._preview is None
    panel.picture("without_pytorch")


def test_the_button_installs_through_the_pytorch_extension(lacking, panel, nodes, monkeypatch):
    asked = []

    class PyTorchUtilsLogic:
        def installTorch(self, **wishes):
            asked.append(wishes)
            # Installing is what makes it found.
            monkeypatch.undo()

    here = types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic, __spec__=types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "PyTorchUtils", here)
    panel.widget.inputs.choose([nodes["CT"], nodes["MR"]])
    patched = importlib.util.find_spec
    monkeypatch.setattr(PyTorchUtilsLogic, "installTorch", lambda self, **wishes: asked.append(wishes))
    panel.click("installButton")
    assert asked == [{"askConfirmation": True, "torchVersionRequirement": ">=2.4"}]
    assert patched("torch") is None


def test_without_the_extension_the_button_says_where_it_is(lacking, panel):
    panel.click("installButton")
    assert "Extensions Manager" in panel.ui.statusLabel.text
    assert panel.desktop.errors == []


def test_help_opens_the_tutorial(panel, monkeypatch):
    import qt

    opened = []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    panel.click("helpButton")
    assert opened[0].endswith("docs/tutorial.md")
    assert (ROOT / "docs/tutorial.md").is_file()


def test_the_help_text_of_the_module_links_to_the_tutorial(module):
    described = types.SimpleNamespace()
    module.MedFusion(described)
    assert "docs/tutorial.md" in described.helpText
