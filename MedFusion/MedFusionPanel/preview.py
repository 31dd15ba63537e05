"""The live preview: the slice that is looked at, fused while parameters or the slice change.

It lies as foreground over the reference, so that the view keeps its range and before/after is a matter of opacity.
"""

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from MedFusionPanel.run import inWords
from MedFusionPanel.views import cutOf, layersOf, sliceNodes
from MedFusionPanel.widgets import say, sayNotes

_LOOK_MS = 50
_NAME = "MedFusion preview"


class LivePreview:
    """Shows the fused slice of the view that moved last.

    Args:
        ui: the panel's widgets.
        logic: reads the inputs.
        observe: called with (node, event, function) to be told of changes of a view.
        unobserve: likewise, to be told no longer.
    """

    def __init__(self, ui, logic, observe, unobserve):
        self._ui, self._logic, self._observe, self._unobserve = ui, logic, observe, unobserve
        self._preview, self._key, self._chosen, self._asked = None, None, None, None
        self._view, self._before, self._nodes = None, {}, {}
        self._watched, self._turned, self._warm = [], set(), False
        self._copied = None, None
        self._timer = qt.QTimer()
        self._timer.setInterval(_LOOK_MS)
        self._timer.connect("timeout()", self.onTimer)
        ui.beforeButton.connect("toggled(bool)", self.onBeforeToggled)

    @property
    def view(self):
        """The slice view that moved last, else the first; None if there is none."""
        views = sliceNodes()
        return self._view if self._view in views else next(iter(views), None)

    def refresh(self, chosen):
        """Preview these choices; None ends the preview."""
        if chosen is None or chosen.missing:
            self.stop()
            return
        key = self._keyOf(chosen)
        if key != self._key:
            self._start(chosen, key)
        self._chosen = chosen
        self.ask()

    def stop(self):
        """End the thread, and leave the views and the scene as they were."""
        self._end()
        self._copied = None, None
        # Removing a node calls the panel back, which may come here again.
        nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            slicer.mrmlScene.RemoveNode(node.GetDisplayNode())
            slicer.mrmlScene.RemoveNode(node)

    def _end(self):
        """End the thread, and give the views back what they showed."""
        self._timer.stop()
        if self._preview is not None:
            self._preview.close()
        for node, event, slot in self._watched:
            self._unobserve(node, event, slot)
        self._preview = self._key = self._chosen = self._asked = None
        self._watched, self._turned = [], set()
        self._restore()
        self._tell("")

    def ask(self):
        """Want the slice that the view shows now, unless it was asked for already."""
        if self._preview is None or self.view is None:
            return
        reference = self._chosen.nodes[self._chosen.reference]
        if self.view.GetID() not in self._turned:
            # Of a slice that is cut askew only a strip would be seen. Turning the view comes back here.
            self._turned.add(self.view.GetID())
            self.view.RotateToVolumePlane(reference)
        at, axis = cutOf(self.view, reference)
        method, parameters = self._chosen.method, self._chosen.parameters
        wanted = (tuple(at), axis, method, repr(parameters), self._chosen.register, self.view.GetID())
        if wanted == self._asked:
            return
        self._asked = wanted
        self._preview.ask(at, axis=axis, method=method, parameters=parameters)

    def _keyOf(self, chosen):
        """What the preview must begin anew for."""
        nodes = [node and (node.GetID(), node.GetMTime()) for node in (*chosen.nodes, *chosen.transforms)]
        region = self._logic.corners(chosen.region)
        return nodes, chosen.modalities, chosen.reference, region, chosen.color, chosen.device

    def _start(self, chosen, key):
        from MedFusionLib.preview import Preview

        self._end()
        copies = self._copies(chosen, key[:2])
        self._preview = Preview(
            lambda: [copied.volume() for copied in copies],
            device=chosen.device,
            reference=chosen.reference,
            color=chosen.color,
            poses=self._logic.poses(chosen.transforms),
            region=self._logic.corners(chosen.region),
        )
        self._key = key
        self._watched = [(node, vtk.vtkCommand.ModifiedEvent, self.onViewChanged) for node in sliceNodes()]
        if chosen.region is not None:
            self._watched.append((chosen.region, chosen.region.PointEndInteractionEvent, self.onRegionMoved))
        for each in self._watched:
            self._observe(*each)
        self._tell(_("Preparing the preview..."))
        self._timer.start()

    def _copies(self, chosen, key):
        """Copies of the volumes: those of before where only another choice has changed."""
        if self._copied[0] != key:
            self._copied = key, self._logic.plan(chosen.nodes, chosen.modalities)
        return self._copied[1]

    def onViewChanged(self, caller, event=None):
        """Follow the view that is moved."""
        if caller is not self.view:
            self._restore()
            self._view = caller
        self.ask()

    def onRegionMoved(self, caller=None, event=None):
        """Begin anew with the region as it is now."""
        self.refresh(self._chosen)

    def onTimer(self):
        """Show the newest slice that is finished."""
        shown = self._preview and self._preview.take()
        if shown is None:
            return
        if shown.error is not None:
            self._tell(str(shown.error), True)
            self._restore()
        else:
            self._show(shown.fused)
            self._tell(self._timing(shown))
        sayNotes(self._ui.warningLabel, shown.notes)
        if not self._warm:
            # The first slice waited for PyTorch to be imported: its time would tell nothing about the volume's.
            self._warm, self._asked = True, None
            self.ask()

    def _timing(self, shown):
        """What computes, and how long it will take, in words."""
        told = _("{method} on {device}: this slice took {slice}, the volume will take {volume}").format(
            method=self._logic.methods()[shown.method].title,
            device=" + ".join(shown.fused.story["devices"]),
            slice=inWords(shown.seconds),
            volume=inWords(shown.seconds_volume),
        )
        if self._chosen.register == "none":
            return told
        return told + _("; shown before registration, which comes on top")

    def _show(self, fused):
        """Put the slice into its node, and the node over the reference."""
        from MedFusionLib.mrml import node_from_volume

        color = fused.shown.is_color
        node = self._nodes.get(color)
        node = node_from_volume(slicer.mrmlScene, fused.shown, None if node else _NAME, node, window=(0, 1))
        node.SetHideFromEditors(True)
        for each in (node, node.GetDisplayNode()):
            each.SetSaveWithScene(False)
        self._nodes[color] = node
        layers = self.view and layersOf(self.view)
        if layers is None:
            return
        self._before.setdefault(layers.GetID(), _layers(layers))
        layers.SetBackgroundVolumeID(self._chosen.nodes[self._chosen.reference].GetID())
        layers.SetForegroundVolumeID(node.GetID())
        self.onBeforeToggled()

    def onBeforeToggled(self, before=None):
        """Show the reference as it is, or the fused slice over it."""
        layers = self.view and layersOf(self.view)
        if layers is not None and layers.GetID() in self._before:
            layers.SetForegroundOpacity(0.0 if self._ui.beforeButton.checked else 1.0)

    def _restore(self):
        """Give the views back what they showed."""
        for layersID, (background, foreground, opacity) in self._before.items():
            layers = slicer.mrmlScene.GetNodeByID(layersID)
            if layers is not None:
                layers.SetBackgroundVolumeID(background)
                layers.SetForegroundVolumeID(foreground)
                layers.SetForegroundOpacity(opacity)
        self._before = {}

    def _tell(self, text, warning=False):
        say(self._ui.previewLabel, text, warning)


def _layers(layers):
    """What a view shows, to be shown again."""
    return layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID(), layers.GetForegroundOpacity()
