"""The results of the scene: shown beside their sources, made again, scored, charted."""

import json

import qt
import slicer
from slicer.i18n import tr as _

from MedFusionPanel import views
from MedFusionPanel.checkerboard import makeCheckerboard, planCheckerboard
from MedFusionPanel.widgets import checkedValues, checklist, choose, fillChoices, shownErrors

FUSED, BLEND, CHECKERBOARD, SIDE_BY_SIDE = "fused", "blend", "checkerboard", "sideBySide"


class Results:
    """The list of results and what can be done with them.

    Args:
        ui: the panel's widgets.
        logic: does it.
        run: of the panel.
        tell: shows a sentence.
    """

    def __init__(self, ui, logic, run, tell):
        self._ui, self._logic, self._run, self._tell = ui, logic, run, tell
        self._listed, self._chartID, self._boardID = [], None, None
        modes = [(_("Fused only"), FUSED), (_("Blend of the sources"), BLEND)]
        modes += [(_("Checkerboard of the sources"), CHECKERBOARD), (_("Side by side"), SIDE_BY_SIDE)]
        fillChoices(ui.viewComboBox, modes)
        ui.scoreTable.sortingEnabled = True
        ui.scoreTable.visible = False
        ui.viewComboBox.connect("activated(int)", self.onShow)
        ui.sourceComboBox.connect("activated(int)", self.onShow)
        ui.showButton.connect("clicked(bool)", self.onShow)
        ui.resultsList.connect("currentRowChanged(int)", self.onCurrentChanged)
        ui.againButton.connect("clicked(bool)", self.onAgain)
        ui.chartButton.connect("clicked(bool)", self.onChart)
        ui.tableButton.connect("clicked(bool)", self.onTable)
        ui.tableSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onTableChanged)

    @property
    def current(self):
        """The result that is selected; None if there is none."""
        item = self._ui.resultsList.currentItem()
        return item and slicer.mrmlScene.GetNodeByID(item.data(qt.Qt.UserRole))

    def refresh(self):
        """List the results of the scene; the last is selected if the list has changed."""
        from MedFusionLib.mrml import STORY

        nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        results = [node for node in nodes if node.GetAttribute(STORY) and not node.GetHideFromEditors()]
        listed = [(node.GetName(), node.GetAttribute("MedFusion.Method") or "", node.GetID()) for node in results]
        if listed != self._listed:
            old = {name for _text, _tip, name in self._listed}
            kept = checkedValues(self._ui.resultsList)
            new = [name for _text, _tip, name in listed if name not in old]
            self._listed = listed
            checklist(self._ui.resultsList, listed, [*kept, *new])
            self._ui.resultsList.setCurrentRow(len(listed) - 1)
            self.onCurrentChanged()
        running = self._run.running
        for name in ("showButton", "againButton", "scoreButton", "viewComboBox", "sourceComboBox"):
            getattr(self._ui, name).enabled = bool(listed) and not running
        self._ui.scoreButton.toolTip = (
            _("Score the checked results against their sources.") if listed else _("Fuse the volumes first.")
        )
        self._ui.tableButton.enabled = self._ui.tableSelector.currentNode() is not None
        self._ui.chartButton.enabled = self._chart is not None

    @property
    def _chart(self):
        return self._chartID and slicer.mrmlScene.GetNodeByID(self._chartID)

    def onCurrentChanged(self, _row=None):
        """Offer the sources of this result."""
        others = [] if self.current is None else sourcesOf(self.current)[1]
        fillChoices(self._ui.sourceComboBox, [(node.GetName(), number) for number, node in others])

    def present(self, node):
        """Select a new result and show it."""
        self.refresh()
        self._ui.resultsList.setCurrentRow([name for _text, _tip, name in self._listed].index(node.GetID()))
        choose(self._ui.viewComboBox, FUSED)
        self.onShow()
        self._tell(_("Result: {name}").format(name=node.GetName()))

    def onShow(self, _value=None):
        """Show the selected result and its sources as the view says."""
        node, mode = self.current, self._ui.viewComboBox.currentData
        if node is None:
            return
        reference, others = sourcesOf(node)
        other = dict(others).get(self._ui.sourceComboBox.currentData)
        if mode == SIDE_BY_SIDE:
            sources = [reference, *(source for _number, source in others)]
            views.showSideBySide([*filter(None, sources), node])
        elif mode == BLEND and reference is not None and other is not None:
            views.showInAll(reference, other)
        elif mode == CHECKERBOARD and reference is not None and other is not None:
            self._startCheckerboard(node)
        else:
            views.showInAll(node)

    def _startCheckerboard(self, node):
        with shownErrors(self._tell, _("The checkerboard could not be made.")):
            inputs, number = planCheckerboard(node), self._ui.sourceComboBox.currentData
            self._run.start(lambda progress: makeCheckerboard(inputs, number, progress), self._showCheckerboard)

    def _showCheckerboard(self, volume):
        from MedFusionLib.mrml import node_from_volume

        old = self._boardID and slicer.mrmlScene.GetNodeByID(self._boardID)
        node = node_from_volume(slicer.mrmlScene, volume, node=old, window=(0, 1))
        for each in (node, node.GetDisplayNode()):
            each.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        self._boardID = node.GetID()
        views.showInAll(node)

    def onAgain(self, _checked=False):
        """Make the selected result again from its sources and its story."""
        with shownErrors(self._tell, _("It could not be fused again.")):
            node = self.current
            volumes, choices, sources = self._logic.planAgain(node)
            name, keep = node.GetName(), kept(sources)
            self._run.start(
                lambda progress: self._logic.compute(volumes, **choices, progress=progress),
                lambda fused: self.present(self._logic.presentAgain(fused, keep(), name)),
            )

    def score(self, maskNode, lesionNode):
        """Score the checked results, or the selected one if none is checked."""
        from MedFusionLib.mrml_results import recipe_of

        names = checkedValues(self._ui.resultsList) or [self.current.GetID()]
        planned = []
        for node in map(slicer.mrmlScene.GetNodeByID, names):
            recipe = recipe_of(node)
            inputs = self._logic.planScores(node, recipe.nodes, recipe.modalities, maskNode, lesionNode)
            planned.append((node.GetName(), inputs))
        self._run.start(lambda progress: self._scores(planned, progress), self._showScores)

    def _scores(self, planned, progress):
        """(name, evaluation) of each. Any thread."""
        from MedFusionLib.pipeline import part

        share = 1 / len(planned)
        return [
            (name, self._logic.computeScores(inputs, progress=part(progress, n * share, (n + 1) * share)))
            for n, (name, inputs) in enumerate(planned)
        ]

    def _showScores(self, evaluations):
        from MedFusionLib.mrml_results import add_score_chart

        tables = [self._logic.presentScores(evaluation, name) for name, evaluation in evaluations]
        chart = add_score_chart(slicer.mrmlScene, tables, _("Scores"))
        self._chartID = chart.GetID()
        both = chart.GetNthPlotSeriesNode(0).GetTableNode()
        self._ui.tableSelector.setCurrentNode(both if len(tables) > 1 else tables[0])
        warnings = [f"{name}: {sentence}" for name, found in evaluations for sentence in found.warnings]
        self._tell("\n".join(warnings) or _("Scored: {names}").format(names=", ".join(n for n, _e in evaluations)))
        self.refresh()

    def onTableChanged(self, table=None):
        """Show the chosen table in the panel."""
        table = self._ui.tableSelector.currentNode()
        self._ui.scoreTable.setMRMLTableNode(table)
        self._ui.scoreTable.visible = table is not None
        self._ui.tableButton.enabled = table is not None

    def onTable(self, _checked=False):
        """Show the table beside the slice views."""
        views.showTable(self._ui.tableSelector.currentNode())

    def onChart(self, _checked=False):
        """Show the bars beside the slice views."""
        views.showChart(self._chart)


def sourcesOf(node):
    """The reference of a result, and (number, node) of its other sources; without those that are gone."""
    from MedFusionLib.mrml import SOURCE, STORY

    number = json.loads(node.GetAttribute(STORY)).get("plan", {}).get("reference", 0)
    found = [node.GetNthNodeReference(SOURCE, n) for n in range(node.GetNumberOfNodeReferences(SOURCE))]
    others = [(n, source) for n, source in enumerate(found) if n != number and source is not None]
    return found[number] if number < len(found) else None, others


def kept(nodes):
    """A function that finds the nodes again after a run: None for those that went away meanwhile."""
    names = [node and node.GetID() for node in nodes]
    return lambda: [name and slicer.mrmlScene.GetNodeByID(name) for name in names]
