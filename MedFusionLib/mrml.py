"""MRML nodes to volumes and results back into the scene: one bridge for the desktop, scripts and the browser.

The scene is an argument and classes are reached through it, so nothing here knows which program owns it. A run is
`volumes_from_nodes` (main thread), `fuse` (any thread: the volumes are copies), `add_result` (main thread).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from MedFusionLib._mrml_arrays import filled, image_of, matrix_of, voxels_of
from MedFusionLib._mrml_tables import filled_table
from MedFusionLib.errors import GeometryError, InputError, ModalityError, SaveError
from MedFusionLib.harmonize import AUTOMATIC, NO_COLOR
from MedFusionLib.scores import Evaluation
from MedFusionLib.volume import FUNCTIONAL, MODALITIES, Fused, Grid, Volume, modality_named, unit_of

MODALITY, UNIT, METHOD, STORY = (f"MedFusion.{name}" for name in ("Modality", "Unit", "Method", "Story"))
"""Node attributes: what a volume is, and how a result was made (STORY is JSON)."""

SOURCE = "MedFusion.Source"
"""Role of a result's node references to what it was made of; scenes keep them."""

_UNITS = {"hnsf": "HU", "suv": "SUV", "bq/ml": "Bq/ml"}
"""What the UCUM code of a volume's values contains, lower case, and our name of that unit."""


@dataclass(frozen=True, eq=False)
class Copied:
    """What was read of a volume node on the main thread, where the scene is; `volume` does the rest on any thread.

    Args:
        array: raw voxels, (K, J, I) or (K, J, I, 3).
        grid: their place in the world.
        modality: its standard name.
        name: the node's.
        unit: empty if the voxels must tell.
    """

    array: np.ndarray
    grid: Grid
    modality: str
    name: str
    unit: str

    @property
    def is_color(self) -> bool:
        """Whether the voxels are RGB."""
        return self.array.ndim == 4

    @property
    def is_functional(self) -> bool:
        """Whether it shows uptake."""
        return self.modality in FUNCTIONAL

    def volume(self) -> Volume:
        """The volume.

        Raises:
            DataError: if the voxels are neither numbers nor RGB.
        """
        unit = self.unit or unit_of(self.array, self.modality)
        return Volume(self.array, self.grid, self.modality, self.name, unit)


def copies_of_nodes(nodes: Sequence[Any], modalities: Sequence[str | None] | None = None) -> list[Copied]:
    """Copies of two or more volume nodes, in their order.

    Args:
        nodes: scalar or RGB volume nodes.
        modalities: one for each node; None, or None in its place, leaves it to `copy_of_node`.

    Raises:
        InputError: if there are fewer than two nodes, one twice, or not one modality for each.
        ModalityError, GeometryError, DataError: as `copy_of_node`.
    """
    if len(nodes) < 2 or None in nodes or len(set(nodes)) < len(nodes):
        raise InputError(
            "Volumes to fuse",
            found=[node and node.GetName() for node in nodes],
            accepted="two or more different volumes",
            fix="Choose a volume in the second row too",
        )
    modalities = [None] * len(nodes) if modalities is None else modalities
    if len(modalities) != len(nodes):
        raise InputError("Modalities", found=list(modalities), accepted=f"{len(nodes)}, one for each volume")
    return [copy_of_node(node, modality) for node, modality in zip(nodes, modalities, strict=True)]


def copy_of_node(node: Any, modality: str | None = None) -> Copied:
    """What there is to read of a volume node at its place in the world: its parent transforms are applied.

    Args:
        node: a scalar volume node, or a vector volume node with RGB voxels.
        modality: if None, the node's attribute `MODALITY`, else the DICOM modality in the subject hierarchy.

    Raises:
        ModalityError: if the modality is not known.
        GeometryError: if a parent transform is not linear.
        DataError: if the node has no voxels.
    """
    known = _modality_of(node, modality)
    array = voxels_of(node)
    grid = Grid(array.shape[:3], _parent_to_world(node) @ filled(node.GetIJKToRASMatrix))
    return Copied(array, grid, known, node.GetName() or "", _unit_of(node))


def volumes_from_nodes(nodes: Sequence[Any], modalities: Sequence[str | None] | None = None) -> list[Volume]:
    """Two or more volume nodes as volumes; arguments and errors as `copies_of_nodes`."""
    return [copied.volume() for copied in copies_of_nodes(nodes, modalities)]


def volume_from_node(node: Any, modality: str | None = None) -> Volume:
    """A volume node as a volume; arguments and errors as `copy_of_node` and `Copied.volume`."""
    return copy_of_node(node, modality).volume()


def node_from_volume(
    scene: Any,
    volume: Volume,
    name: str | None = None,
    node: Any = None,
    window: tuple[float, float] | None = None,
) -> Any:
    """Put a volume into the scene, at its place in the world.

    Args:
        scene: the scene to add a node to.
        volume: scalar (becomes a vtkMRMLScalarVolumeNode) or RGB (a vtkMRMLVectorVolumeNode).
        name: of the node; the volume's if None. A given node keeps its name if None.
        node: an existing node to fill instead of a new one; its parent transform stays and is made up for.
        window: values shown as black and white; automatic if None. RGB is shown as it is.

    Raises:
        InputError: if the given node is of the other class.
        GeometryError: if the given node's parent transform is not linear.
    """
    check_output(node, volume.is_color)
    affine = volume.grid.affine if node is None else np.linalg.solve(_parent_to_world(node), volume.grid.affine)
    if node is None:
        name = scene.GenerateUniqueName(name or volume.name or "Volume")
        node = scene.AddNewNodeByClass(_class_for(volume.is_color), name)
    elif name:
        node.SetName(name)
    modified = node.StartModify()
    node.SetIJKToRASMatrix(matrix_of(affine))
    node.SetAndObserveImageData(image_of(volume.array))
    if volume.is_color:
        node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB)
    node.SetAttribute(MODALITY, volume.modality)
    node.SetAttribute(UNIT, volume.unit)
    node.EndModify(modified)
    _display(node, (0, 255) if volume.is_color else window)
    return node


def add_result(scene: Any, fused: Fused, sources: Sequence[Any] = (), node: Any = None, name: str | None = None) -> Any:
    """Put a result into the scene: its node, its story, its place beside the sources in the subject hierarchy.

    Args:
        scene: the scene to add to.
        fused: the result; its color rendering is shown where there is one.
        sources: the nodes it was made of.
        node: an existing node to fill instead of a new one.
        name: of the node; the result's if None.

    Raises:
        InputError: if the given node is one of the sources, or of the wrong class.
    """
    check_output(node, fused.shown.is_color, sources)
    story = json.dumps(fused.story)
    node = node_from_volume(scene, fused.shown, name, node, window=(0, 1))
    node.SetAttribute(METHOD, str(fused.story.get("method", "")))
    node.SetAttribute(STORY, story)
    node.RemoveNodeReferenceIDs(SOURCE)
    for source in sources:
        node.AddNodeReferenceID(SOURCE, source.GetID())
    tree = scene.GetSubjectHierarchyNode()
    beside = tree.GetItemByDataNode(sources[0]) if sources else 0
    _file_under(tree, tree.GetItemParent(beside) if beside else tree.GetSceneItemID(), node)
    return node


def scored_inputs(
    fused_node: Any, nodes: Sequence[Any], modalities: Sequence[str | None] | None = None
) -> tuple[Copied, list[Copied], dict[str, Any]]:
    """Copies of a fused node and the nodes it was made of, to be aligned and scored in any thread.

    Args:
        fused_node: a result, or a volume in [0, 1] that was fused elsewhere.
        nodes: its sources.
        modalities: as `copies_of_nodes` takes them.

    Returns:
        The result (for `scoring.fused_from`), the sources, and what `align` must be told to see them as they were
        fused: the grid, and the windows, color, interpolation and poses of the result's story, if it has one.

    Raises:
        InputError, ModalityError: as `copies_of_nodes`.
    """
    if fused_node is None:
        raise InputError("Fused volume to score", found="none", accepted="a volume", fix="Fuse the volumes first")
    fused = copy_of_node(fused_node, "OTHER")
    plan = json.loads(fused_node.GetAttribute(STORY) or "{}").get("plan", {})
    kept = {name: plan[name] for name in ("windows", "color", "interpolation", "poses") if name in plan}
    return fused, copies_of_nodes(nodes, modalities), {**kept, "grid": fused.grid}


def add_scores(scene: Any, evaluation: Evaluation, name: str = "Scores", node: Any = None) -> Any:
    """Put scores into the scene as a table, a row a metric; returns its node.

    Args:
        scene: the scene to add to.
        evaluation: what `evaluate` returned.
        name: of a new node.
        node: an existing vtkMRMLTableNode to fill instead.
    """
    each = {f"source_{n + 1}": source for n, source in enumerate(evaluation.sources)}
    shown = each | {"worst_source": "worst source"}
    rows = [{shown.get(column, column): value for column, value in row.items()} for row in evaluation.rows()]
    text = ("metric", "title", "unit", "better", "rule", "note")
    columns = ("metric", "title", "value", "worst source", *each.values(), *text[2:])
    node = filled_table(scene, name, node, columns, rows, text)
    node.SetDescription(
        f"Scored over {evaluation.domain}, on harmonized values in [0, 1]. {' '.join(evaluation.warnings)}"
    )
    return node


def check_output(node: Any, is_color: bool, sources: Sequence[Any] = ()) -> None:
    """See that a node can take a result; None can (a new node is made).

    Raises:
        InputError: if it is one of the sources, or holds the other kind of voxels.
    """
    if node is None:
        return
    if node in sources:
        raise InputError(
            "Output volume",
            found=f"{node.GetName()}, one of the inputs",
            accepted="another volume",
            fix="Choose another output, or none to create a new volume",
        )
    if node.GetClassName() != _class_for(is_color):
        raise InputError(
            f"Output volume {node.GetName()}",
            found=node.GetClassName(),
            accepted=f"{_class_for(is_color)}, as the result is {'RGB' if is_color else 'scalar'}",
            fix="Choose no output to create a new volume of the right kind",
        )


def gives_color(volumes: Sequence[Volume | Copied], color: str = AUTOMATIC) -> bool:
    """Whether fusing these volumes with this choice of color gives RGB: what output node to get ready for."""
    tinted = color not in (AUTOMATIC, NO_COLOR)
    return color != NO_COLOR and any(volume.is_color or (tinted and volume.is_functional) for volume in volumes)


def write_mrb(path: str | Path, results: Sequence[Volume | Fused]) -> Path:
    """Write a scene that Slicer opens, its slice views on the last result.

    Args:
        path: the file, NAME.mrb; replaced only once the new one is whole.
        results: volumes, and results, each in a subject-hierarchy folder with its scalar and its color volume.

    Returns:
        The path.

    Raises:
        InputError: if there is nothing to write.
        DependencyError: if slicer-core is not installed.
        SaveError: if the file cannot be written; what stood there is untouched.
    """
    from MedFusionLib._scene import new_scene, show_in_slices
    from MedFusionLib.save import writing_beside

    if not results:
        raise InputError("Slicer scene", found="no volume", accepted="one or more")
    scene = new_scene()
    for result in results:
        last = _add_folder(scene, result) if isinstance(result, Fused) else node_from_volume(scene, result)
    show_in_slices(scene, last)
    # Slicer packs a scene only by its full path.
    with writing_beside(Path(path).absolute()) as beside:
        if not scene.WriteToMRB(str(beside)):
            raise SaveError("Slicer scene", found=f"{path} not written", fix="See that the folder can be written to")
    return Path(path)


def _add_folder(scene: Any, fused: Fused) -> Any:
    """A folder with the scalar result and, where there is one, its color rendering; returns the node to show."""
    tree = scene.GetSubjectHierarchyNode()
    folder = tree.CreateFolderItem(tree.GetSceneItemID(), fused.volume.name)
    nodes = [add_result(scene, replace(fused, color=None))]
    if fused.color is not None:
        nodes.append(add_result(scene, fused, name=f"{fused.volume.name} color"))
    for node in nodes:
        _file_under(tree, folder, node)
    return nodes[-1]


def _class_for(is_color: bool) -> str:
    return "vtkMRMLVectorVolumeNode" if is_color else "vtkMRMLScalarVolumeNode"


def _parent_to_world(node: Any) -> np.ndarray:
    """(4, 4) of the whole chain of parent transforms."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise GeometryError(
            f"Transform of {node.GetName()}",
            found=f"{parent.GetName()}, which is not linear",
            accepted="linear transforms",
            fix="Harden the transform first: in the module Transforms, or node.HardenTransform()",
        )
    return filled(parent.GetMatrixTransformToWorld)


def _modality_of(node: Any, modality: str | None) -> str:
    """The standard name of the modality, from the first of: the argument, the attribute, the DICOM header."""
    found = modality or node.GetAttribute(MODALITY) or _dicom_modality(node)
    try:
        return modality_named(found)
    except ModalityError as error:
        raise ModalityError(
            f"Modality of {node.GetName()}",
            found=repr(found) if found else "none",
            accepted=", ".join(MODALITIES),
            fix="Choose it beside the volume, or name one for each volume: modalities=['CT', 'MR']",
        ) from error


def _dicom_modality(node: Any) -> str:
    tree = node.GetScene() and node.GetScene().GetSubjectHierarchyNode()
    item = tree.GetItemByDataNode(node) if tree else 0
    return tree.GetItemAttribute(item, "DICOM.Modality") if item else ""


def _unit_of(node: Any) -> str:
    """The unit by our attribute, else by the coded unit of the DICOM import; empty if neither tells."""
    if node.GetAttribute(UNIT):
        return str(node.GetAttribute(UNIT))
    entry = node.GetVoxelValueUnits()
    code = f"{entry.GetCodeValue()} {entry.GetCodeMeaning()}".lower() if entry else ""
    return next((unit for part, unit in _UNITS.items() if part in code), "")


def _display(node: Any, window: tuple[float, float] | None) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(window is None)
    if window is not None:
        display.SetWindowLevelMinMax(*window)


def _file_under(tree: Any, parent: int, node: Any) -> None:
    """Put a node below an item of the subject hierarchy; the desktop has made the node's own item, else nobody has."""
    item = tree.GetItemByDataNode(node)
    if item:
        tree.SetItemParent(item, parent)
    else:
        tree.CreateItem(parent, node)
