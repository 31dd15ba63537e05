"""Several methods on the same volumes: a table of scores and one picture of all."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import qt
from slicer.i18n import tr as _

from MedFusionPanel.parameters import settingsOf
from MedFusionPanel.views import cutOf
from MedFusionPanel.widgets import checkedValues, checklist, choose, fillChoices

SLICE, VOLUME = "slice", "volume"


class Compare:
    """The list of methods to compare, bound to the parameter node, and the picture.

    Args:
        ui: the panel's widgets.
        logic: does it.
        run: of the panel.
        tell: shows a sentence.
    """

    def __init__(self, ui, logic, run, tell):
        self._ui, self._logic, self._run, self._tell = ui, logic, run, tell
        self._parameterNode, self._refreshing, self._picture, self._window = None, False, None, None
        fillChoices(ui.comparedOnComboBox, [(_("the current slice"), SLICE), (_("the whole volume"), VOLUME)])
        entries = [(method.title, method.summary, name) for name, method in logic.methods().items()]
        checklist(ui.compareList, sorted(entries), ())
        ui.compareList.connect("itemChanged(QListWidgetItem*)", self.onChanged)
        ui.comparedOnComboBox.connect("currentIndexChanged(int)", self.onChanged)
        ui.enlargeButton.connect("clicked(bool)", self.onEnlarge)
        ui.enlargeButton.visible = False

    def refresh(self, parameterNode):
        """Show what the parameter node holds."""
        self._parameterNode, self._refreshing = parameterNode, True
        try:
            chosen = json.loads(parameterNode.compared)
            for row in range(self._ui.compareList.count):
                item = self._ui.compareList.item(row)
                wanted = item.data(qt.Qt.UserRole) in chosen
                item.setCheckState(qt.Qt.Checked if wanted else qt.Qt.Unchecked)
            choose(self._ui.comparedOnComboBox, parameterNode.comparedOn)
        finally:
            self._refreshing = False

    @property
    def methods(self):
        """The names of the checked methods."""
        return checkedValues(self._ui.compareList)

    def onChanged(self, _value=None):
        """Keep what is checked."""
        if not self._refreshing and self._parameterNode is not None:
            modified = self._parameterNode.StartModify()
            self._parameterNode.compared = json.dumps(self.methods)
            self._parameterNode.comparedOn = self._ui.comparedOnComboBox.currentData
            self._parameterNode.EndModify(modified)

    def start(self, chosen, view):
        """Fuse and score with each checked method, on the slice of this view or on all."""
        methods = self.methods
        at, axis = None, 0
        if self._parameterNode.comparedOn == SLICE and view is not None:
            at, axis = cutOf(view, chosen.nodes[chosen.reference])
        volumes = self._logic.plan(chosen.nodes, chosen.modalities)
        choices = {
            "at": at,
            "axis": axis,
            "parameters": {name: settingsOf(self._parameterNode, name) for name in methods},
            "register": chosen.register,
            "poses": self._logic.poses(chosen.transforms),
            "reference": chosen.reference,
            "region": self._logic.corners(chosen.region),
            "color": chosen.color,
            "device": chosen.device,
        }
        name = _("Comparison on a slice") if at else _("Comparison")
        self._run.start(
            lambda progress: self._compared(volumes, methods, choices, progress),
            lambda outcome: self._show(*outcome, name),
        )

    def _compared(self, volumes, methods, choices, progress):
        """The comparison and its picture as PNG. Any thread."""
        from MedFusionLib.present import save_png

        comparison = self._logic.computeComparison(volumes, methods, **choices, progress=progress)
        with TemporaryDirectory() as folder:
            return comparison, save_png(comparison.picture(), Path(folder) / "comparison.png").read_bytes()

    def _show(self, comparison, picture, name):
        table = self._logic.presentComparison(comparison, name)
        self._ui.tableSelector.setCurrentNode(table)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "comparison.png"
            path.write_bytes(picture)
            self._picture = qt.QPixmap(str(path))
        width = max(200, self._ui.compareList.width)
        self._ui.pictureLabel.setPixmap(self._picture.scaledToWidth(width, qt.Qt.SmoothTransformation))
        self._ui.enlargeButton.visible = True
        refused = [f"{each.title}: {each.error}" for each in comparison.results if each.error]
        self._tell("\n".join(refused) or _("Compared: {name}").format(name=table.GetName()), bool(refused))

    def onEnlarge(self, _checked=False):
        """Show the picture in its own size, in a window of its own."""
        self._window = qt.QScrollArea()
        self._window.windowTitle = _("Comparison of fusion methods")
        label = qt.QLabel()
        label.setPixmap(self._picture)
        self._window.setWidget(label)
        self._window.resize(1100, 700)
        self._window.show()
