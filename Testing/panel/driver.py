"""Drives the panel as a user does, waits for it, and takes its picture."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from pythonqt import unwrap
from slicer_widgets import qMRMLNodeComboBox

_LABEL = "panel on stand-in widgets, not desktop Slicer"
_WIDTH = 480
_UNKEPT = tempfile.TemporaryDirectory(prefix="medfusion-panel-")


class Driver:
    """The module's widget.

    Args:
        module: MedFusion, imported.
        desktop: what `desktop_of_slicer.start` returned.
        problems: where exceptions of slots are kept.
    """

    def __init__(self, module: Any, desktop: Any, problems: list[BaseException]):
        self.desktop, self._problems = desktop, problems
        self.widget = module.MedFusionWidget()
        self.widget.setup()
        self.widget.enter()
        self.ui = self.widget.ui
        self.widget.window.resize(_WIDTH, 900)
        self.widget.window.show()
        self.step()

    @property
    def parameters(self) -> Any:
        return self.widget._parameterNode

    def step(self) -> None:
        """Let Qt do what waits."""
        QtWidgets.QApplication.processEvents()

    def wait(self, condition: Any, what: str = "it", seconds: float = 20.0) -> None:
        """Let the event loop run until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            self._raise()
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not happen; status: {self.ui.statusLabel.text}")
            QtWidgets.QApplication.processEvents(QtCore.QEventLoop.AllEvents, 20)
            time.sleep(0.002)
        self.step()
        self._raise()

    def _raise(self) -> None:
        """Raise what a slot raised."""
        if self._problems:
            raise self._problems.pop()

    def finish(self) -> None:
        """Wait for the run to end."""
        self.wait(lambda: not self.widget.run.running, "the end of the run", 60)

    def click(self, name: str) -> None:
        """Click a button that a user could click."""
        self.press(name)
        self.step()

    def press(self, name: str) -> None:
        """Click a button and look at once, before a run that is quick can end."""
        button = unwrap(getattr(self.ui, name))
        assert button.isEnabled(), f"{name} is off: {button.toolTip()}"
        button.click()

    def pick(self, name: str, value: Any) -> None:
        """Choose the entry of this value in a combo box."""
        box = unwrap(getattr(self.ui, name))
        index = box.findData(value)
        assert index >= 0, f"{name} does not offer {value}"
        box.setCurrentIndex(index)
        box.activated.emit(index)
        self.step()

    def child(self, name: str) -> Any:
        """A widget that was made in code, by its name."""
        found = self.widget.window.findChild(QtWidgets.QWidget, name)
        assert found is not None, name
        return found

    def check(self, listName: str, values: Any) -> None:
        """Check these entries of a list and no others."""
        box = unwrap(getattr(self.ui, listName))
        for row in range(box.count()):
            item = box.item(row)
            wanted = item.data(QtCore.Qt.UserRole) in values
            item.setCheckState(QtCore.Qt.Checked if wanted else QtCore.Qt.Unchecked)
        self.step()

    def picture(self, name: str) -> Path:
        """Save what the panel looks like, with a line that says what it is."""
        window = self.widget.window
        for _ in range(3):
            # Lines that wrap need a look more to know their height.
            window.resize(_WIDTH, max(700, window.sizeHint().height()))
            self.step()
        shot = window.grab()
        sheet = QtGui.QPixmap(shot.width(), shot.height() + 20)
        sheet.fill(QtCore.Qt.white)
        painter = QtGui.QPainter(sheet)
        painter.drawPixmap(0, 20, shot)
        painter.drawText(6, 14, f"{name}: {_LABEL}")
        painter.end()
        folder = Path(os.environ.get("MEDFUSION_PICTURES") or _UNKEPT.name)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"panel_{name}.png"
        assert sheet.save(str(path))
        return path

    def close(self) -> None:
        """As Slicer does when it ends."""
        self.widget.cleanup()
        self.widget.window.close()
        for selector in self.widget.window.findChildren(qMRMLNodeComboBox):
            selector.setMRMLScene(None)
        self.widget.window.deleteLater()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
