"""A Slicer scene without Slicer: made on slicer-core, to be filled and written to a file."""

from __future__ import annotations

from typing import Any

from MedFusionLib.errors import DependencyError


def new_scene() -> Any:
    """An empty vtkMRMLScene.

    Raises:
        DependencyError: if slicer-core is not installed.
    """
    try:
        from slicer import vtkMRMLScene
    except ImportError as error:
        raise DependencyError(
            "Writing a Slicer scene",
            found="slicer-core is not installed",
            fix='Install it: pip install "medfusion[slicer]"',
        ) from error
    return vtkMRMLScene()


def show_in_slices(scene: Any, node: Any) -> None:
    """Let the three slice views of the desktop show this volume when the scene is opened."""
    for view in ("Red", "Yellow", "Green"):
        composite = scene.CreateNodeByClass("vtkMRMLSliceCompositeNode")
        composite.UnRegister(None)
        composite.SetSingletonTag(view)
        composite.SetLayoutName(view)
        composite.SetBackgroundVolumeID(node.GetID())
        scene.AddNode(composite)
