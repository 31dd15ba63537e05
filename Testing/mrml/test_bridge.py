"""MRML node <-> Volume, on Slicer's own scene."""

from __future__ import annotations

import json

import numpy as np
import pytest

from MedFusionLib.errors import DataError, GeometryError, InputError, ModalityError
from MedFusionLib.mrml import (
    METHOD,
    MODALITY,
    STORY,
    add_result,
    node_from_volume,
    volume_from_node,
    volumes_from_nodes,
)
from MedFusionLib.volume import Fused, Volume

slicer = pytest.importorskip("slicer", reason='slicer-core is not installed: pip install "medfusion[slicer]"')
vtk = pytest.importorskip("vtk")

NUMBERS = (
    vtk.VTK_CHAR,
    vtk.VTK_SIGNED_CHAR,
    vtk.VTK_UNSIGNED_CHAR,
    vtk.VTK_SHORT,
    vtk.VTK_UNSIGNED_SHORT,
    vtk.VTK_INT,
    vtk.VTK_UNSIGNED_INT,
    vtk.VTK_LONG,
    vtk.VTK_UNSIGNED_LONG,
    vtk.VTK_LONG_LONG,
    vtk.VTK_UNSIGNED_LONG_LONG,
    vtk.VTK_ID_TYPE,
    vtk.VTK_FLOAT,
    vtk.VTK_DOUBLE,
)

WORLD_MM = 1e-4
"""A tenth of a micrometer: MRML keeps matrices in float64, so only their products round."""


@pytest.fixture
def result(ct, rgb):
    """A function that makes a result, scalar or RGB."""
    volume = Volume(np.linspace(0, 1, ct.array.size).reshape(ct.array.shape), ct.grid, "OTHER", "CT+PET laplacian")
    story = {"method": "laplacian", "sources": [{"name": 'a; "b": c'}], "notes": []}
    return lambda color: Fused(volume, rgb if color else None, story)


def moved(scene, *matrices, linear=True):
    """The innermost of nested transforms, and their product."""
    parent, product = None, np.eye(4)
    for matrix in matrices:
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode" if linear else "vtkMRMLBSplineTransformNode")
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        node.SetAndObserveTransformNodeID(parent and parent.GetID())
        parent, product = node, product @ matrix
    return parent, product


def some_motion():
    """Two matrices that do not commute, one with a scale."""
    turn, shift = np.eye(4), np.diag([1.5, 1.0, 0.5, 1.0])
    turn[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    turn[:3, 3], shift[:3, 3] = (10, -20, 30), (-3, 200, 7)
    return turn, shift


def world_of(node, ijk):
    """Where Slicer draws a voxel: its own matrices, point by point."""
    to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(to_ras)
    ras = to_ras.MultiplyPoint((*ijk, 1))[:3]
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, to_world)
    return np.array(to_world.TransformPoint(ras))


@pytest.mark.parametrize("kind", ["ct", "pet", "rgb"])
def test_a_volume_comes_back_identical_from_its_node(scene, request, kind):
    volume = request.getfixturevalue(kind)
    back = volume_from_node(node_from_volume(scene, volume))
    assert back.array.dtype == volume.array.dtype
    assert np.array_equal(back.array, volume.array)
    # MRML keeps spacing and directions apart: one division and one multiplication of float64.
    np.testing.assert_allclose(back.grid.affine, volume.grid.affine, rtol=1e-14, atol=1e-12)
    assert (back.modality, back.name, back.unit) == (volume.modality, volume.name, volume.unit)


@pytest.mark.parametrize("kind", NUMBERS)
def test_voxels_of_every_vtk_type_keep_their_values(scene, kind):
    from vtk.util.numpy_support import vtk_to_numpy

    image = vtk.vtkImageData()
    image.SetDimensions(4, 3, 2)
    image.AllocateScalars(kind, 1)
    values = np.arange(24).reshape(2, 3, 4)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = values.ravel()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "any")
    node.SetAndObserveImageData(image)
    assert np.array_equal(volume_from_node(node, "MR").array, values)


def test_voxels_lie_where_slicer_draws_them_under_nested_transforms(scene, ct):
    node = node_from_volume(scene, ct)
    node.SetAndObserveTransformNodeID(moved(scene, *some_motion())[0].GetID())
    affine = volume_from_node(node).grid.affine
    for ijk in [(0, 0, 0), (5, 4, 3), (1, 0, 2)]:
        np.testing.assert_allclose(affine @ (*ijk, 1), [*world_of(node, ijk), 1], atol=WORLD_MM)


def test_a_result_lies_right_in_an_output_that_has_a_parent_transform(scene, ct):
    parent, _ = moved(scene, *some_motion())
    output = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    output.SetAndObserveTransformNodeID(parent.GetID())
    node_from_volume(scene, ct, node=output)
    assert output.GetParentTransformNode() is parent
    for ijk in [(0, 0, 0), (5, 4, 3)]:
        np.testing.assert_allclose([*world_of(output, ijk), 1], ct.grid.affine @ (*ijk, 1), atol=WORLD_MM)


@pytest.mark.parametrize("direction", ["read", "write"])
def test_a_transform_that_is_not_linear_is_refused_with_the_way_out(scene, ct, direction):
    node = node_from_volume(scene, ct)
    bent = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Bent")
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(GeometryError, match=r"Bent.*Harden"):
        volume_from_node(node) if direction == "read" else node_from_volume(scene, ct, node=node)


def test_reading_leaves_nodes_images_and_transforms_untouched(scene, ct, rgb, result):
    nodes = [node_from_volume(scene, ct), node_from_volume(scene, rgb)]
    parent, _product = moved(scene, *some_motion())
    for node in nodes:
        node.SetAndObserveTransformNodeID(parent.GetID())

    def state():
        return [(node.GetMTime(), node.GetImageData().GetMTime(), parent.GetMTime()) for node in nodes]

    before, voxels = state(), [slicer.util.arrayFromVolume(node).copy() for node in nodes]
    volumes_from_nodes(nodes)
    add_result(scene, result(False), nodes)
    assert state() == before
    for node, array in zip(nodes, voxels, strict=True):
        assert np.array_equal(slicer.util.arrayFromVolume(node), array)


@pytest.mark.parametrize("kind", ["ct", "rgb"])
def test_a_volume_is_a_copy_that_later_edits_do_not_reach(scene, request, kind):
    volume = request.getfixturevalue(kind)
    node = node_from_volume(scene, volume)
    copy = volume_from_node(node)
    slicer.util.arrayFromVolume(node)[:] = 0
    assert np.array_equal(copy.array, volume.array)


def test_the_modality_is_the_argument_else_the_attribute_else_dicom(scene, ct):
    node = node_from_volume(scene, ct)
    tree = scene.GetSubjectHierarchyNode()
    tree.SetItemAttribute(tree.CreateItem(tree.GetSceneItemID(), node), "DICOM.Modality", "PT")
    assert volume_from_node(node, "MRI").modality == "MR"
    assert volume_from_node(node).modality == "CT"
    node.RemoveAttribute(MODALITY)
    assert volume_from_node(node).modality == "PET"


@pytest.mark.parametrize("attribute", [None, "SEG"])
def test_a_modality_that_is_not_known_is_asked_for_by_the_name_of_the_node(scene, ct, attribute):
    node = node_from_volume(scene, ct, "Left knee")
    node.SetAttribute(MODALITY, attribute)
    with pytest.raises(
        ModalityError, match=rf"Left knee: found {repr(attribute) if attribute else 'none'}; accepted: CT"
    ):
        volume_from_node(node)


@pytest.mark.parametrize(
    ("code", "meaning", "modality", "unit"),
    [
        ("[hnsf'U]", "Hounsfield unit", "CT", "HU"),
        ("{SUVbw}g/ml", "Standardized Uptake Value body weight", "PET", "SUV"),
        ("Bq/ml", "Becquerels/milliliter", "PET", "Bq/ml"),
        (None, None, "CT", "HU"),
        (None, None, "MR", "a.u."),
        ("1", "no units", "MR", "a.u."),
    ],
)
def test_the_unit_is_read_from_the_coded_entry_or_known_by_the_values(scene, ct, code, meaning, modality, unit):
    node = node_from_volume(scene, ct)
    node.RemoveAttribute("MedFusion.Unit")
    if code:
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(code, "UCUM", meaning)
        node.SetVoxelValueUnits(entry)
    assert volume_from_node(node, modality).unit == unit


def test_a_ct_without_values_below_zero_is_not_taken_for_hounsfield(scene, ct):
    node = node_from_volume(scene, ct.with_array(np.abs(ct.array), unit=""))
    assert volume_from_node(node).unit == "a.u."


def test_a_node_without_voxels_is_refused_by_name(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    with pytest.raises(DataError, match="Empty: found no voxels"):
        volume_from_node(node, "CT")


def test_voxels_that_are_neither_numbers_nor_rgb_are_refused(scene):
    image = vtk.vtkImageData()
    image.SetDimensions(4, 3, 2)
    image.AllocateScalars(vtk.VTK_FLOAT, 3)
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Displacements")
    node.SetAndObserveImageData(image)
    with pytest.raises(DataError, match="Displacements"):
        volume_from_node(node, "CT")


@pytest.mark.parametrize("chosen", [[], [0], [0, 0], [0, None]])
def test_less_than_two_different_nodes_are_refused(scene, ct, chosen):
    node = node_from_volume(scene, ct)
    with pytest.raises(InputError, match="two or more different volumes"):
        volumes_from_nodes([number if number is None else node for number in chosen])


def test_a_count_of_modalities_that_does_not_fit_is_refused(scene, ct):
    nodes = [node_from_volume(scene, ct), node_from_volume(scene, ct)]
    with pytest.raises(InputError, match="2, one for each volume"):
        volumes_from_nodes(nodes, ["CT"])


@pytest.mark.parametrize("color", [False, True])
def test_a_result_fills_the_node_that_is_given(scene, ct, result, color):
    source = node_from_volume(scene, ct)
    kind = "vtkMRMLVectorVolumeNode" if color else "vtkMRMLScalarVolumeNode"
    output, count = scene.AddNewNodeByClass(kind, "Mine"), scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
    assert add_result(scene, result(color), [source], output) is output
    assert output.GetName() == "Mine"
    assert scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == count
    assert np.array_equal(volume_from_node(output).array, result(color).shown.array)


@pytest.mark.parametrize("color", [False, True])
def test_an_output_of_the_wrong_class_is_refused_unchanged(scene, ct, result, color):
    kind = "vtkMRMLScalarVolumeNode" if color else "vtkMRMLVectorVolumeNode"
    output = scene.AddNewNodeByClass(kind, "Mine")
    with pytest.raises(InputError, match=rf"Mine: found {kind}; accepted"):
        add_result(scene, result(color), [node_from_volume(scene, ct)], output)
    assert output.GetImageData() is None


def test_an_output_that_is_an_input_is_refused_unchanged(scene, ct, result):
    source = node_from_volume(scene, ct)
    with pytest.raises(InputError, match="one of the inputs"):
        add_result(scene, result(False), [source], source)
    assert np.array_equal(volume_from_node(source).array, ct.array)


@pytest.mark.parametrize("color", [False, True])
def test_a_result_is_shown_from_0_to_1_and_color_as_it_is(scene, ct, result, color):
    node = add_result(scene, result(color), [node_from_volume(scene, ct)])
    display = node.GetDisplayNode()
    assert not display.GetAutoWindowLevel()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 255 if color else 1)
    assert node.GetVoxelVectorType() == (node.VoxelVectorTypeColorRGB if color else node.VoxelVectorTypeUndefined)


@pytest.mark.parametrize("made_by_desktop", [False, True])
def test_a_result_lies_beside_its_sources_in_the_subject_hierarchy(scene, ct, result, made_by_desktop):
    tree = scene.GetSubjectHierarchyNode()
    study = tree.CreateStudyItem(tree.CreateSubjectItem(tree.GetSceneItemID(), "Patient"), "Study")
    source = node_from_volume(scene, ct)
    tree.CreateItem(study, source)
    output = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode") if made_by_desktop else None
    if output:
        tree.CreateItem(tree.GetSceneItemID(), output)
    output = add_result(scene, result(False), [source], output)
    assert tree.GetItemParent(tree.GetItemByDataNode(output)) == study
    assert tree.GetNumberOfItemChildren(study) == 2


def test_the_story_is_kept_with_the_node_as_json(scene, ct, result):
    node = add_result(scene, result(False), [node_from_volume(scene, ct)])
    assert json.loads(node.GetAttribute(STORY)) == result(False).story
    assert node.GetAttribute(METHOD) == "laplacian"


def test_two_results_of_one_name_get_names_of_their_own(scene, ct, result):
    first, second = (add_result(scene, result(False), [node_from_volume(scene, ct)]) for _ in range(2))
    assert first.GetName() != second.GetName()
