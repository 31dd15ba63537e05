"""The panel as Slicer shows it, on stand-in widgets and a real scene.

Pictures of it are kept where the variable MEDFUSION_PICTURES names a folder. They are pictures of the panel on
stand-in widgets, not of desktop Slicer, and say so.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "Testing/mrml")]

NEEDED = {"PySide6.QtWidgets": "pip install PySide6-Essentials", "slicer": 'pip install "medfusion[slicer]"'}


def pytest_pycollect_makemodule(module_path, parent):
    """Skip all of this folder where a package, or a system library it needs, is missing: nothing could be imported."""
    for name, fix in NEEDED.items():
        try:
            importlib.import_module(name)
        except ImportError as error:
            pytest.skip(f"{error}: {fix}")


@pytest.fixture(scope="session")
def application():
    from PySide6.QtWidgets import QApplication

    _lend()
    return QApplication.instance() or QApplication([])


def _lend():
    """Keep None, True and False alive: PySide6 6.12 gives them back once too often where they can die (Python 3.11)."""
    if sys.version_info < (3, 12):
        for each in (None, True, False):
            ctypes.c_ssize_t.from_address(id(each)).value += 2**40


@pytest.fixture
def problems(monkeypatch):
    """Exceptions that slots raised: Qt prints them and goes on, so each test looks at its end."""
    raised = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: raised.append(error))
    return raised


@pytest.fixture
def desktop(application, problems, monkeypatch):
    """`slicer` with its application, widgets and an empty scene."""
    import desktop_of_slicer

    return desktop_of_slicer.start(monkeypatch)


@pytest.fixture
def scene(desktop):
    return desktop.scene


@pytest.fixture
def module(desktop, monkeypatch):
    """The scripted module, as imported by Slicer from a source tree."""
    monkeypatch.syspath_prepend(str(ROOT / "MedFusion"))
    for name in _ours():
        monkeypatch.delitem(sys.modules, name)
    yield importlib.import_module("MedFusion")
    for name in _ours():
        del sys.modules[name]


def _ours():
    """The modules of the panel that are imported: they hold on to the stand-ins they were imported with."""
    return [name for name in sys.modules if name.split(".")[0] in ("MedFusion", "MedFusionPanel")]


@pytest.fixture
def panel(module, desktop, problems):
    """The widget of the module, set up and entered."""
    from driver import Driver

    driver = Driver(module, desktop, problems)
    yield driver
    driver.close()
    assert not problems, problems


@pytest.fixture(scope="session")
def heads():
    from MedFusionLib.phantom import head_phantom

    return {modality: head_phantom(modality, shape=(12, 40, 36), spacing=(4, 4, 8)) for modality in ("CT", "MR", "PET")}


@pytest.fixture
def nodes(scene, heads):
    """Three volumes of one head in the scene, shown in the slice views."""
    from MedFusionLib.mrml import node_from_volume

    return {modality: node_from_volume(scene, volume) for modality, volume in heads.items()}


@pytest.fixture
def chosen(panel, nodes):
    """The panel with a CT and an MR chosen."""
    panel.widget.inputs.choose([nodes["CT"], nodes["MR"]])
    return panel


@pytest.fixture
def reopened(scene, tmp_path):
    """A function that saves the scene to a file, closes it and opens the file, as a user does."""
    from desktop_stand_in import FileIO

    files = FileIO(scene, tmp_path)

    def reopen():
        path = tmp_path / "scene.mrb"
        assert scene.WriteToMRB(str(path))
        scene.Clear(False)
        files.open_mrb(path)

    return reopen
