"""What the panel does, for scripts: plan (main thread), compute (any thread), present (main thread)."""

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from MedFusionPanel import AUTOMATIC
from MedFusionPanel.modality import modalityOf
from MedFusionPanel.packages import requirePackages
from MedFusionPanel.parameters import MedFusionParameterNode
from MedFusionPanel.path import findLibrary


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

    def parameterSets(self):
        """The nodes that keep choices of the panel, the scene's own first."""
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode", self.scene)
        ours = [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]
        return sorted(ours, key=lambda node: not node.GetSingletonTag())

    def addParameterSet(self, like=None):
        """Another node that keeps choices of the panel, with those of a given one; returns it as parameters."""
        node = self.scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetName(self.scene.GenerateUniqueName(self.moduleName))
        node.SetAttribute("ModuleName", self.moduleName)
        node = self.scene.AddNode(node)
        if like is not None:
            node.CopyContent(like)
            node.CopyReferences(like)
        return MedFusionParameterNode(node)

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

    def modality(self, node, chosen=AUTOMATIC):
        """The modality of a volume node (None if nothing tells it), and whether it was chosen, told or guessed."""
        return modalityOf(node, chosen)

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
        region=None,
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
            region: the box to fuse: two opposite corners (RAS mm) or a markups ROI; None for all of the reference.
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
        copies = self.plan(volumeNodes, modalities, outputNode, color)
        fused = self.compute(
            copies,
            method=method,
            parameters=parameters,
            register=register,
            poses=self.poses(transformNodes),
            reference=reference,
            region=self.corners(region),
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
        """Copies of the nodes, and all checks that need no computing. Main thread."""
        from MedFusionLib.mrml import check_output, copies_of_nodes, gives_color

        requirePackages()
        copies = copies_of_nodes(volumeNodes, modalities)
        check_output(outputNode, gives_color(copies, color), volumeNodes)
        return copies

    def poses(self, transformNodes):
        """Where the volumes lie by these transform nodes, None for none. Main thread."""
        from MedFusionLib.mrml_poses import pose_from_node

        return transformNodes and [node and pose_from_node(node) for node in transformNodes]

    def corners(self, region):
        """Two opposite corners (RAS mm) of a region: of the box around it if it is a markups ROI. Main thread.

        Raises:
            MedFusionLib.errors.InputError: if the ROI was not placed yet.
        """
        from MedFusionLib.errors import InputError

        if not hasattr(region, "GetRASBounds"):
            return region
        if not region.GetNumberOfControlPoints():
            raise InputError(
                f"Region {region.GetName()}", found="no box", fix="Place it in a view, or choose no region"
            )
        bounds = [0.0] * 6
        region.GetRASBounds(bounds)
        return bounds[::2], bounds[1::2]

    def fitRegion(self, regionNode, volumeNode):
        """Lay a markups ROI around a volume. Main thread."""
        bounds = [0.0] * 6
        volumeNode.GetRASBounds(bounds)
        regionNode.SetCenterWorld([(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2], strict=True)])
        regionNode.SetSizeWorld([high - low for low, high in zip(bounds[::2], bounds[1::2], strict=True)])

    def compute(self, copies, **choices):
        """Fuse what `plan` copied. Any thread."""
        from MedFusionLib.pipeline import fuse

        return fuse([copied.volume() for copied in copies], **choices)

    def present(self, fused, volumeNodes, outputNode=None, name=None):
        """Put the result and the transforms that a registration found into the scene; return its node. Main thread."""
        from MedFusionLib.mrml import add_result
        from MedFusionLib.mrml_poses import add_poses

        if "registration" in fused.story:
            add_poses(self.scene, fused, volumeNodes)
        return add_result(self.scene, fused, [node for node in volumeNodes if node], outputNode, name)

    def fuseAgain(self, fusedNode, progress=None):
        """Make a result of this scene, or of a loaded one, again from its sources; return the new node.

        Args:
            fusedNode: the result.
            progress: as in `fuse`.

        Raises:
            MedFusionLib.errors.MedFusionError: if its sources are gone or it is no result; the scene is as before.
        """
        volumes, choices, sources = self.planAgain(fusedNode)
        return self.presentAgain(self.compute(volumes, **choices, progress=progress), sources, fusedNode.GetName())

    def planAgain(self, fusedNode):
        """Copies of a result's sources, the choices that made it, and the source nodes. Main thread."""
        from MedFusionLib.mrml_results import recipe_of

        recipe = recipe_of(fusedNode)
        return self.plan(recipe.nodes, recipe.modalities), recipe.choices, recipe.nodes

    def presentAgain(self, fused, sources, name):
        """Put a result that was made again into the scene; return its node. Main thread."""
        from MedFusionLib.mrml import add_result

        return add_result(self.scene, fused, [node for node in sources if node], name=f"{name} again")

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
            maskNode: score where this volume or segmentation is not 0; by default where any source shows something.
            labelNode: a volume or segmentation that marks a lesion or organ: adds the task metrics.
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
        """Copies of the nodes, and how the result saw them. Main thread."""
        from MedFusionLib.mrml import scored_inputs
        from MedFusionPanel.marks import markedVolume

        requirePackages()
        marks = (markedVolume(node, fusedNode) for node in (maskNode, labelNode))
        return *scored_inputs(fusedNode, volumeNodes, modalities), *marks

    def computeScores(self, inputs, metrics="panel", *, compat=None, device=AUTOMATIC, progress=None):
        """Score what `planScores` copied. Any thread."""
        from MedFusionLib.harmonize import align
        from MedFusionLib.pipeline import part
        from MedFusionLib.scores import MASK
        from MedFusionLib.scoring import evaluate, fused_from

        fused, sources, seen, mask, label = inputs
        volumes = [copied.volume() for copied in sources]
        aligned = align(volumes, **seen, progress=part(progress, 0, 0.3))
        return evaluate(
            fused_from(fused.volume()),
            aligned,
            metrics,
            domain=MASK if mask is None else mask.volume(),
            label=label and label.volume(),
            compat=compat,
            device=device,
            progress=part(progress, 0.3, 1),
        )

    def presentScores(self, evaluation, name, tableNode=None):
        """Put scores into the scene and return their table node. Main thread."""
        from MedFusionLib.mrml import add_scores

        return add_scores(self.scene, evaluation, f"{name} scores", tableNode)

    def computeComparison(
        self, copies, methods, *, at=None, axis=0, parameters=None, device=AUTOMATIC, progress=None, **choices
    ):
        """Fuse with each method and score it, on all or on the slice through a place. Any thread.

        Args:
            copies: what `plan` copied.
            methods: two or more names of `methods()`.
            at: RAS mm that the slice goes through; None compares on the whole volumes.
            axis: the array axis of the reference that is cut.
            parameters: of the methods, by their name.
            device: as in `fuse`.
            progress: as in `fuse`.
            choices: the others of `MedFusionLib.pipeline.bring_together`.
        """
        from MedFusionLib.compare import compare
        from MedFusionLib.pipeline import bring_together, part
        from MedFusionLib.preview import index_along, slice_of

        volumes = [copied.volume() for copied in copies]
        aligned = bring_together(volumes, progress=part(progress, 0, 0.3), **choices)
        if at is not None:
            aligned = slice_of(aligned, axis, index_along(aligned.grid, axis, at))
        return compare(aligned, methods, parameters=parameters, device=device, progress=part(progress, 0.3, 1))

    def presentComparison(self, comparison, name):
        """Put the scores of compared methods into the scene and return their table node. Main thread."""
        from MedFusionLib.mrml_results import add_comparison

        return add_comparison(self.scene, comparison, name)
