"""What the four views show: layers, their colors, a checkerboard, the preview's slice and the volume rendering."""

from __future__ import annotations

from typing import Any

from trame.widgets import html
from trame_server import Server
from trame_slicer.app.ui import create_vertical_slice_view_gutter_ui, create_vertical_view_gutter_ui
from trame_slicer.core import LayoutManager, SlicerApp
from trame_slicer.rca_view import register_rca_factories
from trame_slicer.views import Layout, LayoutDirection, ViewLayoutDefinition

from MedFusionLib.mrml import MODALITY, node_from_volume
from MedFusionLib.volume import FUNCTIONAL, Volume

_NAMES = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal", "ThreeD": "3-D"}
_HEAT = "vtkMRMLPETProceduralColorNodePET-Heat"
_RAMP = ((0.0, 0.0), (0.1, 0.0), (0.25, 0.02), (0.5, 0.06), (1.0, 0.25))
"""Opacity over the shown window of a volume, from its black to its white: air is clear, tissue like glass."""


class Views:
    """Three slices and a rendering of one scene.

    Args:
        app: Slicer's application on trame.
        server: of the page.
    """

    def __init__(self, app: SlicerApp, server: Server):
        self._app = app
        self._board: Any = None
        self._preview: Any = None
        self._layers: tuple[Any, Any, float] = (None, None, 0.0)
        register_rca_factories(
            app.view_manager, server, slice_view_ui_f=_slice_corner, three_d_view_ui_f=_space_corner, blur_fps=15
        )
        self.layout = LayoutManager(app.scene, app.view_manager, server)
        self.layout.register_layout("Four views", _four_views())
        self.layout.set_layout("Four views")
        # Coarser while it turns, and where there is no graphics card.
        space = app.view_manager.get_view("ThreeD").get_view_node()
        space.SetVolumeRenderingQuality(space.Adaptive)
        self.axial = app.view_manager.get_view("Red")

    def show(self, base: Any, over: Any, opacity: float) -> None:
        """Show a volume node in the slices, and another over it (None for none)."""
        self._layers = (base, over, opacity)
        for node in (base, over):
            if node is not None:
                _tint(node)
        manager = self._app.display_manager
        manager.show_volume_in_slice_background(base)
        manager.show_volume_in_slice_foreground(over)
        for view in self._app.view_manager.get_slice_views():
            view.set_foreground_opacity(opacity if over is not None else 0.0)
        self._show_preview()

    def show_board(self, volume: Volume) -> None:
        """Show a checkerboard alone in the slices."""
        self._board = self._held(volume, "Checkerboard", self._board)
        self.show(self._board, None, 0.0)

    def show_preview(self, volume: Volume | None) -> None:
        """Lay a previewed slice over the axial view; None takes it away."""
        if volume is None:
            if self._preview is not None:
                self._app.scene.RemoveNode(self._preview)
                self._preview = None
                self.show(*self._layers)
            return
        self._preview = self._held(volume, "Preview", self._preview)
        self._show_preview()

    def _show_preview(self) -> None:
        if self._preview is not None:
            self.axial.set_foreground_volume_id(self._preview.GetID())
            self.axial.set_foreground_opacity(1.0)

    def _held(self, volume: Volume, name: str, node: Any) -> Any:
        """A node that holds this volume for the views only, not for the saved scene."""
        if node is not None and (node.GetClassName() == "vtkMRMLVectorVolumeNode") != volume.is_color:
            self._app.scene.RemoveNode(node)
            node = None
        node = node_from_volume(self._app.scene, volume, name, node, window=(0, 1))
        node.SetSaveWithScene(False)
        node.GetDisplayNode().SetSaveWithScene(False)
        return node

    def render(self, node: Any) -> None:
        """Show one scalar volume node in space; None for nothing."""
        rendering = self._app.volume_rendering
        for other in self._app.scene.GetNodesByClass("vtkMRMLVolumeRenderingDisplayNode"):
            other.SetVisibility(False)
        if node is not None:
            display = rendering.create_display_node(node, "MR-Default")
            _ramp(display.GetVolumePropertyNode(), node)
            display.SetVisibility(True)
            self._app.view_manager.get_view("ThreeD").reset_view()

    def fit(self) -> None:
        """Show everything, from the front."""
        self._app.display_manager.reset_views()

    def axial_place(self) -> tuple[float, float, float]:
        """RAS mm of the middle of the axial view."""
        matrix = self.axial.get_view_node().GetSliceToRAS()
        return matrix.GetElement(0, 3), matrix.GetElement(1, 3), matrix.GetElement(2, 3)


def is_renderable(node: Any) -> bool:
    """Whether a volume can be shown in space: it has one value a voxel and more than one slice."""
    scalar = node.GetClassName() == "vtkMRMLScalarVolumeNode"
    return scalar and min(node.GetImageData().GetDimensions()) > 1


def _tint(node: Any) -> None:
    """Uptake in heat colors."""
    display = node.GetDisplayNode()
    if node.GetAttribute(MODALITY) in FUNCTIONAL and display.GetColorNodeID() != _HEAT:
        display.SetAndObserveColorNodeID(_HEAT)


def _ramp(node: Any, volume: Any) -> None:
    """Opacity and color over the window that the slices show."""
    display = volume.GetDisplayNode()
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    warm = volume.GetAttribute(MODALITY) in FUNCTIONAL
    values = node.GetVolumeProperty()
    values.GetScalarOpacity().RemoveAllPoints()
    values.GetRGBTransferFunction().RemoveAllPoints()
    values.GetGradientOpacity().RemoveAllPoints()
    values.GetGradientOpacity().AddPoint(0, 1.0)
    for share, opacity in _RAMP:
        value = low + share * (high - low)
        values.GetScalarOpacity().AddPoint(value, opacity)
        color = (min(1, 2 * share), share, max(0, 2 * share - 1)) if warm else (share, share, share)
        values.GetRGBTransferFunction().AddRGBPoint(value, *color)
    # Shaded, coarse voxels show as rings.
    values.ShadeOff()


def _four_views() -> Layout:
    axial, space = ViewLayoutDefinition.axial_view(), ViewLayoutDefinition.threed_view()
    coronal, sagittal = ViewLayoutDefinition.coronal_view(), ViewLayoutDefinition.sagittal_view()
    columns = [Layout(LayoutDirection.Vertical, [axial, coronal]), Layout(LayoutDirection.Vertical, [space, sagittal])]
    return Layout(LayoutDirection.Horizontal, columns)


def _slice_corner(server: Server, view_id: str, view: Any) -> None:
    create_vertical_slice_view_gutter_ui(server, view_id, view)
    _label(view)


def _space_corner(server: Server, view_id: str, view: Any) -> None:
    create_vertical_view_gutter_ui(server, view_id, view)
    _label(view)


def _label(view: Any) -> None:
    name = _NAMES[view.get_singleton_tag()]
    html.Div(name, classes=f"mf-view-name mf-{view.get_singleton_tag().lower()}")
