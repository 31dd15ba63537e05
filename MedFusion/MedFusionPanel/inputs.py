"""The list of volumes to fuse: a row each, with its modality; one is the reference."""

import qt
from slicer.i18n import tr as _

from MedFusionPanel import AUTOMATIC
from MedFusionPanel.modality import CHOSEN, GUESSED, TOLD, UNKNOWN
from MedFusionPanel.parameters import BY_TRANSFORMS, rowsOf
from MedFusionPanel.widgets import VOLUMES, choose, fillChoices, inTabOrder, nodeSelector, say

FEWEST = 2
_LINES = 3
"""Lines of the grid that a row takes: the volume, what is known of it, its transform."""


class Row:
    """The widgets of one volume.

    Args:
        grid: the layout to put them in.
        number: of the row.
        onChanged: called when the user changes something.
        onRemove: called with the number when the user takes the row away.
    """

    def __init__(self, grid, number, onChanged, onRemove):
        self.reference = qt.QRadioButton()
        self.reference.toolTip = _("Reference: the result gets this volume's grid, the others are brought to it.")
        self.volume = nodeSelector(VOLUMES, _("A volume of the patient. It is not changed."))
        self.modality = qt.QComboBox()
        choices = [(_("Auto"), AUTOMATIC), *((name, name) for name in ("CT", "MR", "PET", "SPECT"))]
        fillChoices(self.modality, [*choices, (_("Other"), "OTHER")])
        self.modality.toolTip = _("What it was acquired with; Auto reads it from the DICOM header or guesses it.")
        self.remove = qt.QToolButton()
        self.remove.text = "\u2212"
        self.remove.toolTip = _("Take this row away.")
        self.mark = qt.QLabel()
        self.transform = nodeSelector(["vtkMRMLTransformNode"], _("Moves this volume onto the reference."))
        self.transform.noneDisplay = _("Stays where it is")
        self._place(grid, number)
        self.reference.connect("clicked(bool)", onChanged)
        self.volume.connect("currentNodeChanged(vtkMRMLNode*)", onChanged)
        self.modality.connect("currentIndexChanged(int)", onChanged)
        self.transform.connect("currentNodeChanged(vtkMRMLNode*)", onChanged)
        self.remove.connect("clicked(bool)", lambda _checked=False: onRemove(number))

    @property
    def controls(self):
        """What the user can choose here, in its order."""
        return self.reference, self.volume, self.modality, self.transform, self.remove

    def _place(self, grid, number):
        """Lay the widgets out, named for tests and screen readers."""
        line = 1 + _LINES * number
        columns = (("reference", 0), ("volume", 1), ("modality", 2), ("remove", 3))
        for name, column in columns:
            grid.addWidget(getattr(self, name), line, column)
        grid.addWidget(self.mark, line + 1, 1, 1, 2)
        grid.addWidget(self.transform, line + 2, 1, 1, 2)
        for name in ("reference", "volume", "modality", "remove", "mark", "transform"):
            widget = getattr(self, name)
            widget.objectName = f"{name}{number + 1}"
            widget.accessibleName = _("{what} of volume {number}").format(what=name, number=number + 1)

    def show(self, visible, removable, moved):
        """Show or hide the row, what takes it away, and its transform."""
        for widget in (self.reference, self.volume, self.modality):
            widget.visible = visible
        self.remove.visible = visible and removable
        self.transform.visible = visible and moved

    def showModality(self, found):
        """Say how the modality is known: a guess is marked."""
        modality, how = found
        texts = {
            TOLD: _("{modality}, as the volume says").format(modality=modality),
            GUESSED: _("\u26a0 {modality}? Guessed from the name: please check").format(modality=modality),
            UNKNOWN: _("\u26a0 Choose the modality"),
        }
        say(self.mark, texts.get(how, ""), how in (GUESSED, UNKNOWN))


class Inputs:
    """The rows, bound to the lists of the parameter node.

    Args:
        ui: the panel's widgets.
        logic: tells modalities and registrations.
    """

    def __init__(self, ui, logic):
        self._ui, self._logic = ui, logic
        self._rows, self._parameterNode, self._refreshing = [], None, False
        titles = {"none": _("None: they are aligned"), "rigid": _("Rigid"), "affine": _("Affine")}
        titles["deformable"] = _("Deformable")
        choices = [(titles[name], name) for name in logic.registrations()]
        fillChoices(ui.registerComboBox, [*choices, (_("Transform nodes"), BY_TRANSFORMS)])
        ui.registerComboBox.connect("currentIndexChanged(int)", self.onRegisterChanged)
        ui.addInputButton.connect("clicked(bool)", self.onAdd)
        ui.regionSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.onRegionAdded)

    def refresh(self, parameterNode):
        """Show what the parameter node holds."""
        self._parameterNode, self._refreshing = parameterNode, True
        try:
            self._show(parameterNode)
        finally:
            self._refreshing = False

    def choose(self, nodes):
        """Make these the inputs, the first of them the reference."""
        self._write([(node, AUTOMATIC, None) for node in nodes], 0)

    def _show(self, parameterNode):
        rows, moved = rowsOf(parameterNode), parameterNode.register == BY_TRANSFORMS
        rows += [(None, AUTOMATIC, None)] * (FEWEST - len(rows))
        count = len(rows)
        while len(self._rows) < count:
            self._rows.append(Row(self._ui.inputsFrame.layout(), len(self._rows), self.onRowChanged, self.onRemove))
            inTabOrder([*(widget for row in self._rows for widget in row.controls), self._ui.addInputButton])
        for number, row in enumerate(self._rows):
            row.show(number < count, count > FEWEST, moved and number != parameterNode.reference)
            node, modality, transform = rows[number] if number < count else (None, AUTOMATIC, None)
            row.reference.checked = number == parameterNode.reference
            row.volume.setCurrentNode(node)
            choose(row.modality, modality)
            row.transform.setCurrentNode(transform)
            row.showModality(self._logic.modality(node, modality) if node else (None, CHOSEN))
        choose(self._ui.registerComboBox, parameterNode.register)

    def _shown(self):
        """(volume, modality, transform) of the rows that are shown."""
        count = max(FEWEST, len(self._parameterNode.volumes))
        return [
            (row.volume.currentNode(), row.modality.currentData, row.transform.currentNode())
            for row in self._rows[:count]
        ]

    def _write(self, rows, reference):
        parameterNode = self._parameterNode
        modified = parameterNode.StartModify()
        parameterNode.volumes = [volume for volume, _modality, _transform in rows]
        parameterNode.modalities = [modality for _volume, modality, _transform in rows]
        parameterNode.transforms = [transform for _volume, _modality, transform in rows]
        parameterNode.reference = reference
        parameterNode.EndModify(modified)

    def onRowChanged(self, _value=None):
        """Keep what the user chose."""
        if self._refreshing or self._parameterNode is None:
            return
        rows = self._shown()
        marked = [number for number, row in enumerate(self._rows[: len(rows)]) if row.reference.checked]
        self._write(rows, marked[0] if marked else 0)

    def onAdd(self, _checked=False):
        """Make room for one more volume."""
        self._write([*self._shown(), (None, AUTOMATIC, None)], self._parameterNode.reference)

    def onRemove(self, number):
        """Take a row away; the reference stays with its volume."""
        rows, reference = self._shown(), self._parameterNode.reference
        del rows[number]
        self._write(rows, 0 if reference == number else reference - (reference > number))

    def onRegionAdded(self, region):
        """Begin a new region with the box of the reference: there is something to drag."""
        volumes, reference = self._parameterNode.volumes, self._parameterNode.reference
        if reference < len(volumes) and volumes[reference] is not None:
            self._logic.fitRegion(region, volumes[reference])

    def onRegisterChanged(self, _index=None):
        """Keep how the volumes are brought together."""
        if not self._refreshing and self._parameterNode is not None:
            self._parameterNode.register = self._ui.registerComboBox.currentData
