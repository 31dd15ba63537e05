"""The Slicer module: what Slicer asks of it, the panel, the logic that scripts call, and the test case.

All arithmetic is in MedFusionLib. A run has three parts: plan (nodes to volumes) and present (result to node) touch
the scene and so belong to the main thread; compute does not and may run in any thread.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Union

import ctk
import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLVectorVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

AUTOMATIC = "auto"
MANY_DECADES = 1e4
TORCH_VERSION = ">=2.4"
PACKAGES = ["psutil>=5.9"]


def findLibrary():
    """Make MedFusionLib importable: installed it lies beside this file, in a source tree one folder up."""
    root = Path(__file__).resolve().parents[1]
    if importlib.util.find_spec("MedFusionLib") is None and (root / "MedFusionLib").is_dir():
        sys.path.append(str(root))


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
            "Choose two or three volumes and a method, then click Apply. The inputs are not changed."
        )
        self.parent.acknowledgementText = _("The publications behind each method are named in its description.")


VolumeNode = Union[vtkMRMLScalarVolumeNode, vtkMRMLVectorVolumeNode, None]  # noqa: UP007 the wrapper reads Union only
Modality = Annotated[str, Choice([AUTOMATIC, "CT", "MR", "PET", "SPECT", "OTHER"])]


@parameterNodeWrapper
class MedFusionParameterNode:
    """What the panel keeps with the scene; the widgets name these in their property SlicerParameterName."""

    firstVolume: VolumeNode = None
    firstModality: Modality = AUTOMATIC
    secondVolume: VolumeNode = None
    secondModality: Modality = AUTOMATIC
    thirdVolume: VolumeNode = None
    thirdModality: Modality = AUTOMATIC
    outputVolume: VolumeNode = None


class MedFusionWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: everything it does is one call of the logic, which a script can make too."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._parameterReaders = {}
        self._job = None
        self._present = None
        self._resultID = None

    def setup(self):
        """Build the panel when it is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = MedFusionLogic()
        panel = slicer.util.loadUI(self.resourcePath("UI/MedFusion.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        for name, method in self.logic.methods().items():
            self.ui.methodComboBox.addItem(method.title, name)
        self.ui.methodComboBox.setCurrentIndex(self.ui.methodComboBox.findData("laplacian"))
        for color in (AUTOMATIC, "none", *self.logic.colorTables()):
            self.ui.colorComboBox.addItem(color)

        self._timer = qt.QTimer()
        self._timer.setInterval(50)
        self._timer.connect("timeout()", self.onTimer)
        self.ui.methodComboBox.connect("currentIndexChanged(int)", self.onMethodChanged)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.scoreButton.connect("clicked(bool)", self.onScoreButton)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancelButton)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.onMethodChanged()
        self.initializeParameterNode()

    def cleanup(self):
        """Leave nothing running and nothing observed when the module is unloaded."""
        if self._job is not None:
            self._job.cancel()
        self._timer.stop()
        self.removeObservers()

    def enter(self):
        """Bind the panel to the scene's parameters when it is opened."""
        self.initializeParameterNode()

    def exit(self):
        """Let go of the scene's parameters when another module is opened; a run goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller=None, event=None):
        """Stop the run: the nodes it was made for are going away."""
        self.onCancelButton()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller=None, event=None):
        """Begin anew if the panel is open."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Find the scene's parameters, or make them."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode):
        """Bind the widgets to these parameters, or to none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButtons)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButtons)
        self.updateButtons()

    def updateButtons(self, caller=None, event=None):
        """Say what is missing rather than fail."""
        running = self._job is not None
        ready = len(self.chosenInputs()[0]) >= 2
        self.ui.applyButton.enabled = ready and not running
        self.ui.applyButton.toolTip = _("Fuse the volumes.") if ready else _("Choose two volumes first.")
        fused = ready and self.fusedNode() is not None
        self.ui.scoreButton.enabled = fused and not running
        self.ui.scoreButton.toolTip = _("Score the output volume.") if fused else _("Fuse the volumes first.")
        self.ui.cancelButton.enabled = running and not self._job.cancelled
        self.ui.progressBar.visible = running

    def chosenInputs(self):
        """The volume nodes of the rows that have one, and their modalities (None: automatic)."""
        if self._parameterNode is None:
            return [], []
        rows = [
            (getattr(self._parameterNode, f"{row}Volume"), getattr(self._parameterNode, f"{row}Modality"))
            for row in ("first", "second", "third")
        ]
        chosen = [(node, None if modality == AUTOMATIC else modality) for node, modality in rows if node]
        return [node for node, _modality in chosen], [modality for _node, modality in chosen]

    def fusedNode(self):
        """What the scores are of: the chosen output volume, else the last result."""
        chosen = self._parameterNode and self._parameterNode.outputVolume
        return chosen or (self._resultID and slicer.mrmlScene.GetNodeByID(self._resultID)) or None

    def onMethodChanged(self, index=None):
        """Show the chosen method's sentence, and a row for each of its parameters."""
        method = self.logic.methods()[self.ui.methodComboBox.currentData]
        self.ui.methodLabel.text = method.summary
        self.ui.methodLabel.toolTip = method.reference
        form = self.ui.parametersFrame.layout()
        while form.rowCount():
            form.removeRow(0)
        self._parameterReaders = {}
        for name, parameter in method.parameters.items():
            widget, self._parameterReaders[name] = parameterWidget(parameter)
            widget.toolTip = parameter.help
            form.addRow(name.replace("_", " ").capitalize() + ":", widget)

    def onApplyButton(self):
        """Plan here, compute in a thread; the timer presents."""
        with slicer.util.tryWithErrorDisplay(_("Fusion could not be started."), waitCursor=True):
            ensurePackages()
            nodes, modalities = self.chosenInputs()
            output = self._parameterNode.outputVolume
            color = self.ui.colorComboBox.currentText
            volumes = self.logic.plan(nodes, modalities, output, color)
            choices = {
                "method": self.ui.methodComboBox.currentData,
                "parameters": {name: read() for name, read in self._parameterReaders.items()},
                "color": color,
                "register": self.ui.registerComboBox.currentText,
            }
            keep = self.kept(*nodes, output)
            self.start(
                lambda progress: self.logic.compute(volumes, progress=progress, **choices),
                lambda fused: self.showResult(fused, *keep()),
            )

    def onScoreButton(self):
        """Score the output volume against its sources; the timer shows the table."""
        with slicer.util.tryWithErrorDisplay(_("Scoring could not be started."), waitCursor=True):
            ensurePackages()
            nodes, modalities = self.chosenInputs()
            fused = self.fusedNode()
            inputs = self.logic.planScores(fused, nodes, modalities)
            name = fused.GetName()
            self.start(
                lambda progress: self.logic.computeScores(inputs, progress=progress),
                lambda evaluation: self.showScores(self.logic.presentScores(evaluation, name)),
            )

    def kept(self, *nodes):
        """A function that finds the nodes again after a run: None for those that went away meanwhile."""
        names = [node and node.GetID() for node in nodes]
        return lambda: [name and slicer.mrmlScene.GetNodeByID(name) for name in names]

    def start(self, compute, present):
        """Compute in a thread; `present` gets what comes out, in this one."""
        from MedFusionLib.job import Job

        self._job, self._present = Job(compute), present
        self.ui.progressBar.value = 0
        self.ui.statusLabel.text = ""
        self._timer.start()
        self.updateButtons()

    def onCancelButton(self):
        """Ask the run to stop at its next report."""
        if self._job is not None:
            self._job.cancel()
            self.ui.statusLabel.text = _("Canceling...")
            self.updateButtons()

    def onTimer(self):
        """Show what the run reports and, at its end, its result."""
        # Waiting releases the interpreter lock, which Slicer's event loop may else keep from the thread.
        done = self._job.is_done(seconds=0.03)
        for fraction, message in self._job.reports():
            self.ui.progressBar.value = round(100 * fraction)
            self.ui.statusLabel.text = message
        if done:
            self.onJobDone()

    def onJobDone(self):
        """Put the result into the scene, or show why there is none."""
        self._timer.stop()
        job, self._job = self._job, None
        self.updateButtons()
        self.ui.statusLabel.text = _("Canceled.") if job.cancelled else ""
        if job.cancelled:
            return
        with slicer.util.tryWithErrorDisplay(_("The run failed.")):
            self._present(job.result())

    def showResult(self, fused, *nodes):
        """Put the result into the scene and the slice views."""
        *sources, output = nodes
        node = self.logic.present(fused, sources, output)
        self._resultID = node.GetID()
        self.updateButtons()
        slicer.util.setSliceViewerLayers(background=node, foreground=None)
        self.ui.statusLabel.text = _("Result: {name}").format(name=node.GetName())

    def showScores(self, table):
        """Show the table of scores."""
        showTable(table)
        self.ui.statusLabel.text = _("Scores: {name}").format(name=table.GetName())


def showTable(table):
    """Show a table beside the slice views."""
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveTableID(table.GetID())
    logic.PropagateTableSelection()


def parameterWidget(parameter):
    """A widget for one parameter of a method, and a function that reads it."""
    options = getattr(parameter.bounds, "options", None)
    if parameter.kind is bool:
        widget = qt.QCheckBox()
        widget.checked = parameter.default
        return widget, lambda: widget.checked
    if options:
        widget = qt.QComboBox()
        widget.addItems(list(options))
        widget.setCurrentText(parameter.default)
        return widget, lambda: widget.currentText
    if parameter.bounds.low > 0 and parameter.bounds.high / parameter.bounds.low >= MANY_DECADES:
        # A slider has no room for it: its decimals would cut the small values off.
        widget = qt.QLineEdit(f"{parameter.default:g}")
        return widget, lambda: parameter.checked(widget.text)
    widget = ctk.ctkSliderWidget()
    widget.decimals = 0 if parameter.kind is int else 3
    widget.minimum, widget.maximum = parameter.bounds.low, parameter.bounds.high
    widget.singleStep = 1 if parameter.kind is int else (widget.maximum - widget.minimum) / 100
    widget.suffix = f" {parameter.bounds.unit}".rstrip()
    widget.value = parameter.default
    return widget, lambda: parameter.kind(widget.value)


def ensurePackages():
    """Offer to install what is missing: PyTorch through its extension, the rest through Slicer's own dialog."""
    import slicer.packaging

    if importlib.util.find_spec("torch") is None and importlib.util.find_spec("PyTorchUtils") is not None:
        import PyTorchUtils

        PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH_VERSION)
    slicer.packaging.pip_ensure(PACKAGES, requester="MedFusion")


class MedFusionLogic(ScriptedLoadableModuleLogic):
    """What the panel does, for scripts.

    Args:
        scene: where the nodes are; Slicer's own if None.
    """

    def __init__(self, scene=None):
        ScriptedLoadableModuleLogic.__init__(self)
        findLibrary()
        self._scene = scene

    @property
    def scene(self):
        """The scene worked on."""
        return slicer.mrmlScene if self._scene is None else self._scene

    def getParameterNode(self):
        """The panel's choices that are kept with the scene."""
        return MedFusionParameterNode(super().getParameterNode())

    def methods(self):
        """The fusion methods by name."""
        from MedFusionLib.registry import list_methods

        return list_methods()

    def registrations(self):
        """How volumes can be brought to the reference before they are fused."""
        from MedFusionLib.pipeline import REGISTRATIONS

        return REGISTRATIONS

    def colorTables(self):
        """The names of the color tables for PET and SPECT."""
        from MedFusionLib.harmonize.color import TABLES

        return TABLES

    def fuse(
        self,
        volumeNodes,
        method="laplacian",
        parameters=None,
        *,
        modalities=None,
        outputNode=None,
        register="none",
        transformNodes=None,
        reference=0,
        spacing=None,
        windows=None,
        color=AUTOMATIC,
        interpolation=None,
        plane=AUTOMATIC,
        device=AUTOMATIC,
        progress=None,
    ):
        """Fuse volume nodes into one and return its node; the inputs are not changed.

        Args:
            volumeNodes: two or more scalar or RGB volume nodes, the anatomical first.
            method: a name of `methods()`.
            parameters: of the method, by name; defaults for the rest.
            modalities: one for each node; None, or None in its place, takes it from the node or its DICOM header.
            outputNode: the node to fill; a new one if None.
            register: "none", or how the volumes are brought to the reference first: "rigid", "affine" or "deformable".
                A transform node is made for each volume that was moved; the volumes stay where they are.
            transformNodes: for each volume the node that moves it onto the reference, None where it lies in its place;
                with `register` they say where its search begins.
            reference: number of the volume whose grid the result gets.
            spacing: mm of the result's grid, "finest", or None for the reference's own.
            windows: (low, high) for each node, in its unit; None, or None in its place, takes its modality's.
            color: "auto" (RGB only if an input is), "none" (scalar), or a color table for PET and SPECT.
            interpolation: "linear", "bspline" or "nearest" for all; by default the right one for each.
            plane: "volume", "axial", "coronal", "sagittal", "all" or "auto".
            device: "auto", "cpu", "cuda" or "mps".
            progress: called with a fraction from 0 to 1 and a message; raise `MedFusionLib.errors.Cancelled` to stop.

        Raises:
            MedFusionLib.errors.MedFusionError: its message says what to do; the scene is as before.
        """
        volumes = self.plan(volumeNodes, modalities, outputNode, color)
        fused = self.compute(
            volumes,
            method=method,
            parameters=parameters,
            register=register,
            poses=self.poses(transformNodes),
            reference=reference,
            spacing=spacing,
            windows=windows,
            color=color,
            interpolation=interpolation,
            plane=plane,
            device=device,
            progress=progress,
        )
        return self.present(fused, volumeNodes, outputNode)

    def plan(self, volumeNodes, modalities=None, outputNode=None, color=AUTOMATIC):
        """Copies of the nodes as volumes, and all checks that need no computing. Main thread."""
        from MedFusionLib.device import require_packages
        from MedFusionLib.mrml import check_output, gives_color, volumes_from_nodes

        require_packages()
        volumes = volumes_from_nodes(volumeNodes, modalities)
        check_output(outputNode, gives_color(volumes, color), volumeNodes)
        return volumes

    def poses(self, transformNodes):
        """Where the volumes lie by these transform nodes, None for none. Main thread."""
        from MedFusionLib.mrml_poses import pose_from_node

        return transformNodes and [node and pose_from_node(node) for node in transformNodes]

    def compute(self, volumes, **choices):
        """Fuse the volumes. Any thread."""
        from MedFusionLib.pipeline import fuse

        return fuse(volumes, **choices)

    def present(self, fused, volumeNodes, outputNode=None):
        """Put the result and the transforms that a registration found into the scene; return its node. Main thread."""
        from MedFusionLib.mrml import add_result
        from MedFusionLib.mrml_poses import add_poses

        if "registration" in fused.story:
            add_poses(self.scene, fused, volumeNodes)
        return add_result(self.scene, fused, [node for node in volumeNodes if node], outputNode)

    def evaluate(
        self,
        fusedNode,
        volumeNodes,
        metrics="panel",
        *,
        modalities=None,
        maskNode=None,
        labelNode=None,
        compat=None,
        tableNode=None,
        device=AUTOMATIC,
        progress=None,
    ):
        """Score a fused volume against the volumes it was made of and return a table node.

        Args:
            fusedNode: the result; what its story tells of windows and color is used again.
            volumeNodes: its sources, in any order.
            metrics: "panel", "all", or names, as `MedFusionLib.evaluate` takes them.
            modalities: as in `fuse`.
            maskNode: score where this volume is not 0; by default where any source shows something.
            labelNode: a volume that marks a lesion or organ: adds the task metrics.
            compat: "cvpr23" scores as the published tables of that family.
            tableNode: the table to fill; a new one if None.
            device: as in `fuse`.
            progress: as in `fuse`.

        Raises:
            MedFusionLib.errors.MedFusionError: its message says what to do; the scene is as before.
        """
        inputs = self.planScores(fusedNode, volumeNodes, modalities, maskNode, labelNode)
        evaluation = self.computeScores(inputs, metrics, compat=compat, device=device, progress=progress)
        return self.presentScores(evaluation, fusedNode.GetName(), tableNode)

    def planScores(self, fusedNode, volumeNodes, modalities=None, maskNode=None, labelNode=None):
        """Copies of the nodes as volumes, and how the result saw them. Main thread."""
        from MedFusionLib.device import require_packages
        from MedFusionLib.mrml import scored_inputs, volume_from_node

        require_packages()
        marks = (None if node is None else volume_from_node(node, "OTHER") for node in (maskNode, labelNode))
        return *scored_inputs(fusedNode, volumeNodes, modalities), *marks

    def computeScores(self, inputs, metrics="panel", *, compat=None, device=AUTOMATIC, progress=None):
        """Score what `planScores` copied. Any thread."""
        from MedFusionLib.harmonize import align
        from MedFusionLib.pipeline import part
        from MedFusionLib.scores import MASK
        from MedFusionLib.scoring import evaluate

        fused, volumes, seen, mask, label = inputs
        aligned = align(volumes, **seen, progress=part(progress, 0, 0.3))
        return evaluate(
            fused,
            aligned,
            metrics,
            domain=MASK if mask is None else mask,
            label=label,
            compat=compat,
            device=device,
            progress=part(progress, 0.3, 1),
        )

    def presentScores(self, evaluation, name, tableNode=None):
        """Put scores into the scene and return their table node. Main thread."""
        from MedFusionLib.mrml import add_scores

        return add_scores(self.scene, evaluation, f"{name} scores", tableNode)


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

    def test_badInputIsRefused(self):
        from MedFusionLib.errors import InputError

        with self.assertRaises(InputError):
            self.logic.fuse(self.nodes[:1])
        with self.assertRaises(InputError):
            self.logic.fuse(self.nodes, outputNode=self.nodes[1])
        with self.assertRaises(InputError):
            self.logic.fuse(self.nodes, method="no such method")
