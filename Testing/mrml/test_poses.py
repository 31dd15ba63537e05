"""Transform nodes and poses: there and back, in the logic, and made by a registration."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from MedFusionLib.errors import GeometryError
from MedFusionLib.harmonize.pose import Pose
from MedFusionLib.mrml import node_from_volume, volume_from_node
from MedFusionLib.mrml_poses import node_from_pose, pose_from_node
from MedFusionLib.phantom import head_phantom, offset_matrix
from MedFusionLib.pipeline import fuse

slicer = pytest.importorskip("slicer", reason='slicer-core is not installed: pip install "medfusion[slicer]"')

HEAD = {"shape": (32, 44, 38), "spacing": (5, 5, 5)}
OFFSET = (4, -3, 8, 6, -9, 5)
POINTS = np.array([[0.0, 0, 0], [30, -20, 10], [-45, 25, -30]])


@pytest.fixture
def nodes(scene):
    volumes = head_phantom("CT", **HEAD), head_phantom("MR", offset=OFFSET, seed=1, **HEAD)
    return [node_from_volume(scene, volume) for volume in volumes]


def bent():
    box = sitk.Image([10, 10, 10], sitk.sitkFloat32)
    box.SetOrigin((-100, -100, -100))
    box.SetSpacing((22, 22, 22))
    spline = sitk.BSplineTransformInitializer(box, [3, 3, 3], 3)
    spline.SetParameters(np.random.default_rng(0).normal(0, 3, len(spline.GetParameters())).tolist())
    return Pose(sitk.CompositeTransform([sitk.TranslationTransform(3, (5.0, -3.0, 4.0)), spline]))


@pytest.mark.parametrize(
    ("pose", "kind"),
    [(Pose.from_matrix(offset_matrix(OFFSET)), "vtkMRMLLinearTransformNode"), (bent(), "vtkMRMLTransformNode")],
    ids=["linear", "deformable"],
)
def test_a_pose_comes_back_from_its_node(scene, pose, kind):
    node = node_from_pose(scene, pose, "MR to CT")
    assert (node.GetClassName(), node.GetName()) == (kind, "MR to CT")
    np.testing.assert_allclose(pose_from_node(node).points(POINTS), pose.points(POINTS), atol=1e-9)


def test_a_volume_below_the_node_lies_where_the_pose_says(scene, nodes):
    pose = Pose.from_matrix(offset_matrix(OFFSET))
    expected = fuse([volume_from_node(nodes[0], "CT"), volume_from_node(nodes[1], "MR")], poses=[None, pose])
    nodes[1].SetAndObserveTransformNodeID(node_from_pose(scene, pose, "T").GetID())
    below = fuse([volume_from_node(nodes[0], "CT"), volume_from_node(nodes[1], "MR")])
    np.testing.assert_allclose(below.volume.array, expected.volume.array, atol=1e-6)


def test_a_linear_chain_is_one_pose(scene):
    first, second = (node_from_pose(scene, Pose.from_matrix(offset_matrix(OFFSET)), name) for name in "AB")
    first.SetAndObserveTransformNodeID(second.GetID())
    matrix = offset_matrix(OFFSET)
    np.testing.assert_allclose(pose_from_node(first).matrix, matrix @ matrix, atol=1e-9)


def test_a_deformable_node_below_another_is_refused(scene):
    above = node_from_pose(scene, Pose.from_matrix(np.eye(4)), "above")
    node = node_from_pose(scene, bent(), "bent")
    node.SetAndObserveTransformNodeID(above.GetID())
    with pytest.raises(GeometryError, match="Take it out"):
        pose_from_node(node)


def test_the_logic_takes_a_transform_node(module, scene, nodes):
    pose = bent()
    volumes = [volume_from_node(node, modality) for node, modality in zip(nodes, ("CT", "MR"), strict=True)]
    expected = fuse(volumes, poses=[None, pose]).volume.array
    count = scene.GetNumberOfNodesByClass("vtkMRMLTransformNode")
    node = node_from_pose(scene, pose, "MR to CT")
    result = module.MedFusionLogic().fuse(nodes, modalities=["CT", "MR"], transformNodes=[None, node])
    np.testing.assert_allclose(volume_from_node(result, "OTHER").array, expected, atol=1e-6)
    # Only the one that was given.
    assert scene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == count + 1


def test_a_registration_leaves_a_transform_and_the_volumes_where_they_are(module, scene, nodes):
    before = [node.GetName() for node in nodes]
    module.MedFusionLogic().fuse(nodes, modalities=["CT", "MR"], register="rigid")
    (transform,) = scene.GetNodesByClass("vtkMRMLTransformNode")
    assert transform.GetName() == f"{before[1]} to {before[0]}"
    truth = Pose.from_matrix(offset_matrix(OFFSET))
    assert np.linalg.norm(pose_from_node(transform).points(POINTS) - truth.points(POINTS), axis=1).mean() < 5
    assert all(node.GetParentTransformNode() is None for node in nodes)
