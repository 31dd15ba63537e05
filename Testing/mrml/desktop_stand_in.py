"""What the desktop adds to slicer-core, as little of it as the module asks for at import and its test case at run.

The scene, its nodes, the volumes logic and slicer.util are Slicer's own. `qt` and `ctk` are empty: the panel cannot
be built here. Run as a script, it runs the test case of a module: desktop_stand_in.py FOLDER MODULE.
"""

from __future__ import annotations

import importlib
import sys
import types
import unittest
from pathlib import Path
from typing import Any

import slicer


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message):
        pass


class Choice:
    def __init__(self, choices):
        self.choices = choices


def _module(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module


def start() -> Any:
    """Make `slicer` what scripts find in Slicer, with an empty scene; returns the scene."""
    for name in ("qt", "ctk"):
        _module(name)
    bases = (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic)
    slicer.ScriptedLoadableModule = _module(
        "slicer.ScriptedLoadableModule", **{base.__name__: base for base in (*bases, ScriptedLoadableModuleTest)}
    )
    slicer.i18n = _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    slicer.parameterNodeWrapper = _module(
        "slicer.parameterNodeWrapper", parameterNodeWrapper=lambda described: described, Choice=Choice
    )
    slicer.util = importlib.import_module("slicer.util")
    slicer.mrmlScene = slicer.vtkMRMLScene()
    return slicer.mrmlScene


class FileIO:
    """Reading and writing files in a scene, which needs the logics of the Volumes and Colors modules.

    Args:
        scene: where to read to and write from.
        cache: a folder for unpacking.
    """

    def __init__(self, scene: Any, cache: Path):
        self._scene = scene
        self._application = slicer.vtkSlicerApplicationLogic()
        self._application.SetMRMLScene(scene)
        self._colors, self._volumes = slicer.vtkSlicerColorLogic(), slicer.vtkSlicerVolumesLogic()
        for name, logic in (("Colors", self._colors), ("Volumes", self._volumes)):
            logic.SetMRMLApplicationLogic(self._application)
            logic.SetMRMLScene(scene)
            self._application.SetModuleLogic(name, logic)
        self._remote, self._manager = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
        self._remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
        self._remote.SetMRMLScene(scene)
        self._remote.AddDataIOToScene()
        self._manager.SetMRMLApplicationLogic(self._application)
        self._manager.SetAndObserveDataIOManager(self._remote.GetDataIOManager())

    def load_volume(self, path: str | Path) -> Any:
        """As slicer.util.loadVolume."""
        return self._volumes.AddArchetypeVolume(str(path), Path(path).name.split(".")[0], 0)

    def save_node(self, node: Any, path: str | Path) -> bool:
        """As slicer.util.saveNode, for volumes."""
        storage = node.CreateDefaultStorageNode()
        storage.SetFileName(str(path))
        self._scene.AddNode(storage)
        return bool(storage.WriteData(node))

    def open_mrb(self, path: str | Path) -> None:
        """As slicer.util.loadScene."""
        if not self._scene.ReadFromMRB(str(path)):
            raise OSError(f"not a scene: {path}")


def main(folder: str, module: str) -> None:
    """Run the test case of a module that lies in this folder."""
    start()
    sys.path.insert(0, folder)
    getattr(importlib.import_module(module), f"{module}Test")().runTest()


if __name__ == "__main__":
    main(*sys.argv[1:])
