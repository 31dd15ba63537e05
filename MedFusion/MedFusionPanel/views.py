"""Slice views, tables and plots: which node is shown where. Everything is said through MRML nodes."""

import math

import slicer
import vtk

_SIDE_BY_SIDE = 7341
"""Our layouts have this number plus that of their views: far from Slicer's own."""

_ABREAST = 3


def sliceNodes():
    """The slice views of the scene."""
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def layersOf(sliceNode):
    """The node that tells which volumes a slice view shows; None before the view is built."""
    return slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode)


def cutOf(sliceNode, volumeNode):
    """Where a slice view cuts a volume: RAS mm of a place on the slice, and the array axis (k, j, i) most across it."""
    toRAS = sliceNode.GetSliceToRAS()
    at = [toRAS.GetElement(row, 3) for row in range(3)]
    normal = [toRAS.GetElement(row, 2) for row in range(3)]
    return at, _axisAlong(normal, volumeNode)


def _axisAlong(normal, volumeNode):
    toWorld, placed = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(toWorld)
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(volumeNode.GetParentTransformNode(), None, placed)
    vtk.vtkMatrix4x4.Multiply4x4(placed, toWorld, toWorld)
    cosines = []
    for column in range(3):
        step = [toWorld.GetElement(row, column) for row in range(3)]
        cosines.append(abs(sum(a * b for a, b in zip(step, normal, strict=True))) / math.hypot(*step))
    return 2 - cosines.index(max(cosines))


def showInAll(background, foreground=None, opacity=0.5):
    """Show a volume, and another over it if given, in all slice views, linked."""
    for sliceNode in sliceNodes():
        showIn(layersOf(sliceNode), background, foreground, opacity)


def fit(node):
    """Show a volume in all slice views, and all of it."""
    showInAll(node)
    if slicer.app.layoutManager() is not None:
        slicer.app.layoutManager().resetSliceViews()


def showIn(layers, background, foreground=None, opacity=0.5):
    """Show a volume, and another over it if given, in one slice view, and link it."""
    if layers is None:
        return
    layers.SetLinkedControl(True)
    layers.SetBackgroundVolumeID(background.GetID())
    layers.SetForegroundVolumeID(foreground and foreground.GetID())
    layers.SetForegroundOpacity(opacity if foreground else 0.0)


def showSideBySide(nodes):
    """Show volumes in slice views of their own, axial, linked."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None:
        return
    layout, number = layoutManager.layoutLogic().GetLayoutNode(), _SIDE_BY_SIDE + len(nodes)
    if not layout.IsLayoutDescription(number):
        layout.AddLayoutDescription(number, _sideBySide(len(nodes)))
    layoutManager.setLayout(number)
    tags = [_tag(number) for number in range(len(nodes))]
    views = {sliceNode.GetLayoutName(): sliceNode for sliceNode in sliceNodes()}
    for tag, node in zip(tags, nodes, strict=True):
        showIn(layersOf(views[tag]), node)


def _tag(number):
    return f"MedFusion{number + 1}"


def _sideBySide(count):
    """A layout of so many axial slice views, three abreast."""
    views = [
        f'<item><view class="vtkMRMLSliceNode" singletontag="{_tag(number)}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{number + 1}</property></view></item>'
        for number in range(count)
    ]
    rows = ["".join(views[first : first + _ABREAST]) for first in range(0, count, _ABREAST)]
    lines = [f'<item><layout type="horizontal">{row}</layout></item>' for row in rows]
    return f'<layout type="vertical">{"".join(lines)}</layout>'


def showTable(table):
    """Show a table beside the slice views."""
    _setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveTableID(table.GetID())
    logic.PropagateTableSelection()


def showChart(chart):
    """Show a chart beside the slice views."""
    _setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActivePlotChartID(chart.GetID())
    logic.PropagatePlotChartSelection()


def _setLayout(layout):
    """Change the layout; Slicer without its window has none."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None:
        layoutManager.setLayout(layout)
