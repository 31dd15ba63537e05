"""What the desktop adds to slicer-core, for the panel: the application, its layouts, loading of forms, the wrapper."""

from __future__ import annotations

import importlib
import sys
import types
import unittest
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import slicer
import vtk
from PySide6 import QtCore, QtUiTools, QtWidgets

import slicer_widgets
from parameter_stand_in import parameterNodeWrapper
from pythonqt import Constructor, Wrapped, qt_module, unwrap, wrap


class ScriptedLoadableModule:
    def __init__(self, parent: Any):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Any = None):
        self.parent = types.SimpleNamespace(isEntered=True)
        self.moduleName = type(self).__name__.removesuffix("Widget")

    def setup(self) -> None:
        self.window = QtWidgets.QWidget()
        self.layout = wrap(QtWidgets.QVBoxLayout(self.window))

    def resourcePath(self, name: str) -> str:
        return str(Path(sys.modules[type(self).__module__].__file__).parent / "Resources" / name)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        tag = f"ModuleName={self.moduleName}"
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetAttribute("ModuleName", self.moduleName)
            node.SetName(tag)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str) -> None:
        pass


class Layouts:
    """The layout manager: Slicer's own layout logic makes the views, a slice logic each their layers."""

    def __init__(self, scene: Any, application: Any):
        self._scene, self._application = scene, application
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(application)
        self._logic.SetMRMLScene(scene)
        self.slice_logics: dict[str, Any] = {}
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def layoutLogic(self) -> Any:
        return self._logic

    def setLayout(self, number: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(number)
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode", self._scene):
            if node.GetLayoutName() not in self.slice_logics:
                logic = slicer.vtkMRMLSliceLogic()
                logic.SetMRMLScene(self._scene)
                logic.SetSliceNode(node)
                self.slice_logics[node.GetLayoutName()] = logic

    def resetSliceViews(self) -> None:
        for logic in self.slice_logics.values():
            logic.FitSliceToAll()


class Application:
    """slicer.app."""

    def __init__(self, scene: Any):
        self._logic = slicer.vtkMRMLApplicationLogic()
        self._logic.SetMRMLScene(scene)
        self._layouts = Layouts(scene, self._logic)
        self.connected: dict[str, Any] = {}

    def applicationLogic(self) -> Any:
        return self._logic

    def layoutManager(self) -> Any:
        return self._layouts

    def connect(self, signature: str, slot: Any) -> None:
        self.connected[signature] = slot

    def testingEnabled(self) -> bool:
        return False


def load_ui(path: str) -> Wrapped:
    """As slicer.util.loadUI: widgets from the form, and its connections."""
    form = ElementTree.parse(path)
    root = form.getroot()
    connections = [
        tuple(each.find(part).text for part in ("sender", "signal", "receiver", "slot"))
        for each in root.iter("connection")
    ]
    root.remove(root.find("connections"))
    loader = QtUiTools.QUiLoader()
    for name in ("ctkCollapsibleButton", "qMRMLWidget", "qMRMLNodeComboBox", "qMRMLTableView"):
        loader.registerCustomWidget(getattr(slicer_widgets, name))
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(root))
    widget = loader.load(buffer)
    if widget is None:
        raise RuntimeError(loader.errorString())
    for _sender, signal, receiver, slot in connections:
        target = widget.findChild(QtWidgets.QWidget, receiver)
        getattr(widget, signal.split("(")[0]).connect(getattr(target, slot.split("(")[0]))
    return wrap(widget)


def child_widget_variables(panel: Wrapped) -> Any:
    """As slicer.util.childWidgetVariables."""
    ui = type("", (), {})()
    for widget in unwrap(panel).findChildren(QtWidgets.QWidget):
        if widget.objectName() and not widget.objectName().startswith("qt_"):
            setattr(ui, widget.objectName(), wrap(widget))
    return ui


def _module(monkeypatch: Any, name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def start(monkeypatch: Any) -> Any:
    """Make `slicer` what scripts find on the desktop, with an empty scene.

    Returns:
        The scene, the application, the errors that were shown in windows, and the packages that were asked for.
    """
    monkeypatch.setitem(sys.modules, "qt", qt_module())
    _module(monkeypatch, "ctk", ctkSliderWidget=Constructor(slicer_widgets.ctkSliderWidget))
    bases = (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic)
    _module(
        monkeypatch,
        "slicer.ScriptedLoadableModule",
        **{base.__name__: base for base in (*bases, ScriptedLoadableModuleTest)},
    )
    _module(monkeypatch, "slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    _module(monkeypatch, "slicer.parameterNodeWrapper", parameterNodeWrapper=parameterNodeWrapper)
    asked: list[Any] = []
    packaging = _module(
        monkeypatch, "slicer.packaging", pip_ensure=lambda packages, requester: asked.append((packages, requester))
    )
    errors: list[str] = []
    util = importlib.import_module("slicer.util")
    scene = slicer.vtkMRMLScene()
    vtk.vtkObject.GlobalWarningDisplayOff()
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    # Scalar volumes are painted by the color tables of the one, regions are read from files by the other.
    logics = [slicer.vtkSlicerColorLogic(), slicer.vtkSlicerMarkupsLogic()]
    for logic in logics:
        logic.SetMRMLScene(scene)
    here = {"mrmlScene": scene, "util": util, "packaging": packaging}
    here["qMRMLNodeComboBox"] = Constructor(slicer_widgets.qMRMLNodeComboBox)
    for name, value in here.items():
        monkeypatch.setattr(slicer, name, value, raising=False)
    monkeypatch.setattr(slicer, "app", Application(scene), raising=False)
    monkeypatch.setattr(util, "loadUI", load_ui, raising=False)
    monkeypatch.setattr(util, "childWidgetVariables", child_widget_variables, raising=False)
    monkeypatch.setattr(util, "errorDisplay", lambda text, **_: errors.append(text), raising=False)
    return types.SimpleNamespace(logics=logics, scene=scene, application=slicer.app, errors=errors, asked=asked)
