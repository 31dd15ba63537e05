"""Transform nodes to poses and back: the same bridge as `mrml`, for registration.

A transform node that moves a volume into the world tells, read backward, where the world's points lie in the volume:
that is a pose. Deformable ones go through Slicer's own transform file, so nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from MedFusionLib._mrml_arrays import filled, matrix_of
from MedFusionLib.errors import GeometryError, SaveError
from MedFusionLib.harmonize.pose import Pose, load_pose
from MedFusionLib.volume import Fused


def pose_from_node(node: Any) -> Pose:
    """The pose of a transform node: reference -> the volume that the node would move onto it.

    Args:
        node: a vtkMRMLTransformNode, linear or not; if it is not, it must not be below another transform.

    Raises:
        GeometryError: if a deformable one is below another transform.
        SaveError: if the scene cannot write it out.
    """
    if node.IsTransformToWorldLinear():
        return Pose.from_matrix(filled(node.GetMatrixTransformFromWorld))
    if node.GetParentTransformNode() is not None:
        raise GeometryError(
            f"Transform {node.GetName()}",
            found="a deformable transform below another one",
            accepted="a transform of its own",
            fix="Take it out of the other transform, or harden it",
        )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pose.h5"
        _stored(node, path, "WriteData")
        return load_pose(path)


def node_from_pose(scene: Any, pose: Pose, name: str) -> Any:
    """Put a pose into the scene as a transform node: a volume placed below it moves onto the reference.

    Args:
        scene: the scene to add to.
        pose: reference -> moving volume.
        name: of the node.

    Raises:
        SaveError: if the scene cannot read the deformable pose.
    """
    name = scene.GenerateUniqueName(name)
    if pose.matrix is not None:
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        node.SetMatrixTransformFromParent(matrix_of(pose.matrix))
        return node
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pose.h5"
        pose.save(path)
        node = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
        try:
            _stored(node, path, "ReadData")
        except SaveError:
            scene.RemoveNode(node)
            raise
    return node


def add_poses(scene: Any, fused: Fused, sources: Sequence[Any]) -> list[Any]:
    """A transform node for every source that a registration moved, named like it; the sources stay where they are.

    Args:
        scene: the scene to add to.
        fused: the result.
        sources: the nodes it was made of, None for one that has gone.
    """
    told = fused.story["sources"]
    names = [node.GetName() if node else source["name"] for node, source in zip(sources, told, strict=True)]
    fixed = names[fused.story["plan"]["reference"]]
    return [
        node_from_pose(scene, pose, f"{name} to {fixed}")
        for name, pose in zip(names, fused.poses, strict=True)
        if pose is not None
    ]


def _stored(node: Any, path: Path, action: str) -> None:
    """Have Slicer write a transform node, or read it."""
    import slicer

    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(str(path))
    if not getattr(storage, action)(node):
        raise SaveError(f"Transform {node.GetName()}", found=f"{action} of {path.name} failed")
