"""Small things that several parts of the panel do with widgets."""

import traceback
from contextlib import contextmanager
from itertools import pairwise

import qt
import slicer

VOLUMES = ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
WARNING = "color: #b85c00;"
"""Readable on Slicer's light and dark style."""


def fillChoices(comboBox, choices):
    """Offer these (text, value) pairs."""
    comboBox.clear()
    for text, value in choices:
        comboBox.addItem(text, value)


def choose(comboBox, value):
    """Show the entry of this value; what is not offered changes nothing."""
    index = comboBox.findData(value)
    if index >= 0:
        comboBox.setCurrentIndex(index)


def say(label, text, warning=False):
    """Show a sentence; an empty one takes no room."""
    label.text = text
    label.styleSheet = WARNING if warning else ""
    label.visible = bool(text)


def sayNotes(label, notes):
    """Show what was noticed, a line each, as warnings."""
    say(label, "\n".join(f"\u26a0 {note}" for note in notes), True)


def inTabOrder(widgets):
    """Let the Tab key go through these widgets one after the other."""
    for before, after in pairwise([part for widget in widgets for part in _focusable(widget)]):
        qt.QWidget.setTabOrder(before, after)


def _focusable(widget):
    """The widget, or the parts that it is made of, such as the slider and the spin box: Qt orders no others."""
    if widget.focusPolicy != qt.Qt.NoFocus:
        return [widget]
    return [part for child in widget.children() if child.isWidgetType() for part in _focusable(child)]


def nodeSelector(nodeTypes, toolTip):
    """A selector of the scene's nodes of these classes and no others."""
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = list(nodeTypes)
    selector.showChildNodeTypes = False
    selector.addEnabled = selector.removeEnabled = selector.renameEnabled = False
    selector.noneEnabled = True
    selector.toolTip = toolTip
    selector.setMRMLScene(slicer.mrmlScene)
    return selector


def checklist(listWidget, entries, checked):
    """Fill a list with (text, tool tip, value) entries that can be checked."""
    listWidget.clear()
    for text, toolTip, value in entries:
        item = qt.QListWidgetItem(text)
        item.setToolTip(toolTip)
        item.setData(qt.Qt.UserRole, value)
        item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
        item.setCheckState(qt.Qt.Checked if value in checked else qt.Qt.Unchecked)
        listWidget.addItem(item)


def checkedValues(listWidget):
    """The values of the checked entries, from top to bottom."""
    items = [listWidget.item(row) for row in range(listWidget.count)]
    return [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Checked]


@contextmanager
def shownErrors(tell, message):
    """Show an error that says what to do as a sentence in the panel, any other in a window with what led to it.

    Args:
        tell: called with the sentence and True.
        message: what did not work.
    """
    from MedFusionLib.errors import MedFusionError

    try:
        yield
    except MedFusionError as error:
        tell(str(error), True)
    except Exception as error:
        slicer.util.errorDisplay(f"{message}\n\n{error}", detailedText=traceback.format_exc())
        raise
