"""The Slicer module: what Slicer asks of it, the panel, and the test case.

All arithmetic is in MedFusionLib, what scripts call is `MedFusionLogic`, and each part of the panel has a file of its
own in MedFusionPanel. A run has three parts: plan (nodes to volumes) and present (result to node) touch the scene and
so belong to the main thread; compute does not and may run in any thread.
"""

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from MedFusionPanel import AUTOMATIC, packages, sample
from MedFusionPanel.compare import Compare
from MedFusionPanel.inputs import Inputs
from MedFusionPanel.logic import MedFusionLogic
from MedFusionPanel.methodForm import MethodForm
from MedFusionPanel.parameters import Chosen, MedFusionParameterNode
from MedFusionPanel.path import findLibrary  # noqa: F401 likewise
from MedFusionPanel.preview import LivePreview
from MedFusionPanel.results import Results, kept
from MedFusionPanel.run import Run
from MedFusionPanel.views import fit
from MedFusionPanel.widgets import choose, fillChoices, say, sayNotes, shownErrors

DOCUMENTATION = "https://github.com/SlicerMedFusion/SlicerMedFusion/blob/main/docs/tutorial.md"


class MedFusion(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedFusion")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Filtering")]
        self.parent.dependencies = []
        self.parent.contributors = ["MedFusion contributors"]
        self.parent.helpText = _(
            "Fuses CT, MR, PET and SPECT volumes of one patient into one volume. "
            "Choose two or more volumes and a method, look at the live preview, then click Apply. "
            'The inputs are not changed. See the <a href="{url}">tutorial</a>.'
        ).format(url=DOCUMENTATION)
        self.parent.acknowledgementText = _("The publications behind each method are named in its description.")
        slicer.app.connect("startupCompleted()", sample.registerSampleData)


class MedFusionWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: everything it does is one call of the logic, which a script can make too."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._setID = None

    def setup(self):
        """Build the panel when it is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = MedFusionLogic()
        panel = slicer.util.loadUI(self.resourcePath("UI/MedFusion.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.run = Run(self.ui, self.refresh, self.tell)
        self.inputs = Inputs(self.ui, self.logic)
        self.methodForm = MethodForm(self.ui, self.logic, self._refreshButtons)
        self.preview = LivePreview(self.ui, self.logic, self.addObserver, self.removeObserver)
        self.results = Results(self.ui, self.logic, self.run, self.tell)
        self.compare = Compare(self.ui, self.logic, self.run, self.tell)
        self._offer()
        self._connect()
        for label in (self.ui.warningLabel, self.ui.statusLabel, self.ui.previewLabel):
            say(label, "")
        self.initializeParameterNode()

    def _offer(self):
        """Fill the choosers that no part of the panel owns."""
        tables = [(name, name) for name in self.logic.colorTables()]
        fillChoices(self.ui.colorComboBox, [(_("Auto"), AUTOMATIC), (_("None: gray"), "none"), *tables])
        devices = [(_("Auto"), AUTOMATIC), (_("CPU"), "cpu"), (_("GPU (CUDA)"), "cuda"), (_("GPU (Apple)"), "mps")]
        fillChoices(self.ui.deviceComboBox, devices)

    def _connect(self):
        for button, slot in (
            ("applyButton", self.onApplyButton),
            ("scoreButton", self.onScoreButton),
            ("compareButton", self.onCompareButton),
            ("sampleButton", self.onSampleButton),
            ("installButton", self.onInstallButton),
            ("helpButton", self.onHelpButton),
            ("newSetButton", self.onNewSetButton),
        ):
            getattr(self.ui, button).connect("clicked(bool)", slot)
        self.ui.colorComboBox.connect("currentIndexChanged(int)", self.onChoiceChanged)
        self.ui.deviceComboBox.connect("currentIndexChanged(int)", self.onChoiceChanged)
        self.ui.parameterSetComboBox.connect("activated(int)", self.onSetChosen)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEnd)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEnd)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)

    def cleanup(self):
        """Leave nothing running and nothing observed when the module is unloaded."""
        self.run.stop()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        """Bind the panel to the scene's parameters when it is opened."""
        self.initializeParameterNode()

    def exit(self):
        """Let go of the scene's parameters when another module is opened; a run goes on, the preview ends."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller=None, event=None):
        """Stop the run: the nodes it was made for are going away."""
        self.run.stop()
        self.setParameterNode(None)

    def onSceneEnd(self, caller=None, event=None):
        """Begin anew when a scene was closed or loaded, if the panel is open."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onNodeRemoved(self, caller=None, event=None):
        """Forget what has left the scene; without its set the panel takes the scene's own."""
        if self._parameterNode is None or slicer.mrmlScene.IsClosing():
            return
        if self._parameterNode.parameterNode.GetScene() is None:
            self.initializeParameterNode()
        else:
            self.refresh()

    def onSetChosen(self, _index=None):
        """Show another set of parameters."""
        node = slicer.mrmlScene.GetNodeByID(self.ui.parameterSetComboBox.currentData)
        self.setParameterNode(MedFusionParameterNode(node))

    def onNewSetButton(self, _checked=False):
        """Begin another set with the choices of this one."""
        self.setParameterNode(self.logic.addParameterSet(self._parameterNode.parameterNode))

    def initializeParameterNode(self):
        """Find the set that was used last, else the scene's own, or make that."""
        own = self.logic.getParameterNode()
        last = next((node for node in self.logic.parameterSets() if node.GetID() == self._setID), None)
        self.setParameterNode(own if last is None else MedFusionParameterNode(last))

    def setParameterNode(self, parameterNode):
        """Bind the widgets to these parameters, or to none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.refresh)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._setID = self._parameterNode.parameterNode.GetID()
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.refresh)
        self.refresh()

    def refresh(self, caller=None, event=None):
        """Show what the parameter node holds, and what can be done."""
        if self._parameterNode is None:
            self.preview.stop()
            return
        self._offerSets()
        for part in (self.inputs, self.methodForm, self.compare):
            part.refresh(self._parameterNode)
        choose(self.ui.colorComboBox, self._parameterNode.color)
        choose(self.ui.deviceComboBox, self._parameterNode.device)
        self.results.refresh()
        self._refreshButtons()

    def _offerSets(self):
        """The sets of parameters that the scene keeps."""
        fillChoices(
            self.ui.parameterSetComboBox, [(node.GetName(), node.GetID()) for node in self.logic.parameterSets()]
        )
        choose(self.ui.parameterSetComboBox, self._setID)

    def _refreshButtons(self):
        """Say what is missing rather than fail."""
        chosen, running = Chosen(self._parameterNode, self.logic), self.run.running
        lacking = packages.torchIsMissing()
        self.ui.torchFrame.visible = lacking
        missing = _("Install PyTorch first.") if lacking else self.methodForm.problem or chosen.missing
        for button, text in (("applyButton", _("Fuse the volumes.")), ("compareButton", _("Compare the methods."))):
            widget = getattr(self.ui, button)
            widget.enabled = not missing and not running
            widget.toolTip = missing or text
        say(self.ui.missingLabel, "" if lacking else chosen.missing)
        self.ui.cancelButton.enabled = self.run.canBeCanceled
        self.ui.sampleButton.enabled = not running
        self.ui.progressBar.visible = running
        if missing:
            sayNotes(self.ui.warningLabel, ())
        if not running:
            wanted = self._parameterNode.livePreview and not missing
            self._startPreview(chosen if wanted else None)

    def _startPreview(self, chosen):
        with shownErrors(self.tell, _("The preview could not be started.")):
            self.preview.refresh(chosen)

    def tell(self, text, warning=False):
        """Show a sentence below the buttons."""
        say(self.ui.statusLabel, text, warning)

    def onChoiceChanged(self, _index=None):
        """Keep color and device."""
        if self._parameterNode is not None:
            modified = self._parameterNode.StartModify()
            self._parameterNode.color = self.ui.colorComboBox.currentData
            self._parameterNode.device = self.ui.deviceComboBox.currentData
            self._parameterNode.EndModify(modified)

    def onApplyButton(self, _checked=False):
        """Plan here, compute in a thread; the run presents."""
        with shownErrors(self.tell, _("Fusion could not be started.")):
            packages.ensurePackages()
            chosen, output = Chosen(self._parameterNode, self.logic), self._parameterNode.outputVolume
            volumes = self.logic.plan(chosen.nodes, chosen.modalities, output, chosen.color)
            choices = {
                "method": chosen.method,
                "parameters": chosen.parameters,
                "color": chosen.color,
                "device": chosen.device,
                "register": chosen.register,
                "reference": chosen.reference,
                "poses": self.logic.poses(chosen.transforms),
                "region": self.logic.corners(chosen.region),
            }
            keep = kept([*chosen.nodes, output])
            self.run.start(
                lambda progress: self.logic.compute(volumes, progress=progress, **choices),
                lambda fused: self.showResult(fused, *keep()),
            )

    def showResult(self, fused, *nodes):
        """Put the result into the scene and the slice views; the preview has done its work."""
        *sources, output = nodes
        node = self.logic.present(fused, sources, output)
        if self._parameterNode is not None:
            self._parameterNode.livePreview = False
        sayNotes(self.ui.warningLabel, fused.story["notes"])
        self.results.present(node)

    def onScoreButton(self, _checked=False):
        """Score the checked results against their sources."""
        with shownErrors(self.tell, _("Scoring could not be started.")):
            packages.ensurePackages()
            self.results.score(self._parameterNode.mask, self._parameterNode.lesion)

    def onCompareButton(self, _checked=False):
        """Compare the checked methods on the chosen volumes."""
        with shownErrors(self.tell, _("Comparing could not be started.")):
            packages.ensurePackages()
            self.compare.start(Chosen(self._parameterNode, self.logic), self.preview.view)

    def onSampleButton(self, _checked=False):
        """Make the synthetic head and choose it."""
        self.run.start(sample.makePhantom, self.showSample)

    def showSample(self, volumes):
        """Put the head into the scene, choose it, and look at it."""
        nodes = sample.addPhantom(volumes)
        if self._parameterNode is not None:
            self.inputs.choose(nodes)
        fit(nodes[0])
        self.tell(_("Sample: a synthetic head in CT, MR and PET, made here."))

    def onInstallButton(self, _checked=False):
        """Install PyTorch through its extension."""
        with shownErrors(self.tell, _("PyTorch could not be installed.")):
            packages.installTorch()
            self.refresh()

    def onHelpButton(self, _checked=False):
        """Open the tutorial."""
        qt.QDesktopServices.openUrl(qt.QUrl(DOCUMENTATION))


class MedFusionTest(ScriptedLoadableModuleTest):
    """The test case that Slicer runs, on a small synthetic head."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.logic = MedFusionLogic()
        self.nodes = [self.phantomNode(modality) for modality in ("CT", "MR")]

    def phantomNode(self, modality):
        """The middle of a head in this modality, as a node."""
        from MedFusionLib.mrml import node_from_volume
        from MedFusionLib.phantom import head_phantom

        volume = head_phantom(modality, shape=(8, 24, 20), spacing=(2, 2, 3))
        return node_from_volume(slicer.mrmlScene, volume)

    def runTest(self):
        """Run every test on a scene of its own."""
        for test in (
            self.test_fuseMakesAVolumeOnTheGridOfTheFirst,
            self.test_inputsAreNotChanged,
            self.test_cancelLeavesTheSceneAsItWas,
            self.test_scoresAreATable,
            self.test_fuseAgainGivesTheSameVoxels,
            self.test_badInputIsRefused,
        ):
            self.setUp()
            self.delayDisplay(test.__name__)
            test()

    def test_fuseMakesAVolumeOnTheGridOfTheFirst(self):
        output = self.logic.fuse(self.nodes, method="laplacian", parameters={"levels": 2})
        fused = slicer.util.arrayFromVolume(output)
        self.assertEqual(output.GetClassName(), "vtkMRMLScalarVolumeNode")
        self.assertEqual(fused.shape, slicer.util.arrayFromVolume(self.nodes[0]).shape)
        self.assertEqual(output.GetOrigin(), self.nodes[0].GetOrigin())
        self.assertGreaterEqual(fused.min(), 0)
        self.assertLessEqual(fused.max(), 1)
        self.assertGreater(fused.std(), 0)

    def test_inputsAreNotChanged(self):
        before = [slicer.util.arrayFromVolume(node).copy() for node in self.nodes]
        self.logic.fuse(self.nodes)
        for node, voxels in zip(self.nodes, before, strict=True):
            self.assertTrue((slicer.util.arrayFromVolume(node) == voxels).all())

    def test_cancelLeavesTheSceneAsItWas(self):
        from MedFusionLib.errors import Cancelled

        def cancel(fraction, message):
            raise Cancelled(message)

        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(Cancelled):
            self.logic.fuse(self.nodes, progress=cancel)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_scoresAreATable(self):
        table = self.logic.evaluate(self.logic.fuse(self.nodes), self.nodes, ["qabf", "nmi:hm"])
        self.assertEqual(table.GetNumberOfRows(), 2)
        self.assertGreater(table.GetTable().GetColumnByName("value").GetValue(0), 0)

    def test_fuseAgainGivesTheSameVoxels(self):
        first = self.logic.fuse(self.nodes, method="two_scale", parameters={"sigma": 2}, reference=1)
        again = self.logic.fuseAgain(first)
        self.assertNotEqual(again.GetID(), first.GetID())
        self.assertTrue((slicer.util.arrayFromVolume(again) == slicer.util.arrayFromVolume(first)).all())

    def test_badInputIsRefused(self):
        from MedFusionLib.errors import InputError

        with self.assertRaises(InputError):
            self.logic.fuse(self.nodes[:1])
        with self.assertRaises(InputError):
            self.logic.fuse(self.nodes, outputNode=self.nodes[1])
        with self.assertRaises(InputError):
            self.logic.fuse(self.nodes, method="no such method")
