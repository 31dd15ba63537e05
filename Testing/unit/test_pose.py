"""A pose keeps ITK's convention, survives its file, and moves every voxel once."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from MedFusionLib.errors import FileError, GeometryError, SaveError
from MedFusionLib.harmonize.pose import Pose, load_pose
from MedFusionLib.harmonize.resample import field_of_view, resample
from MedFusionLib.volume import Grid, Volume

TURNED = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -7], [0, 0, 1, 3], [0, 0, 0, 1.0]])


def grid_of(shape=(14, 16, 18), spacing=(1.5, 2.0, 2.5), origin=(-10.0, -15.0, -12.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape, affine)


def blob(points):
    return np.exp(-(points**2).sum(-1) / (2 * 6**2))


def places(grid):
    index = np.moveaxis(np.indices(grid.shape)[::-1], 0, -1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def spline(amplitude, seed=0):
    """A smooth deformation of some 60 mm of space."""
    transform = sitk.BSplineTransform(3, 3)
    transform.SetTransformDomainOrigin([-60.0] * 3)
    transform.SetTransformDomainPhysicalDimensions([120.0] * 3)
    transform.SetTransformDomainMeshSize([3] * 3)
    count = len(transform.GetParameters())
    transform.SetParameters((amplitude * np.random.default_rng(seed).standard_normal(count)).tolist())
    return transform


def test_a_shift_to_the_right_in_ras_is_minus_x_in_the_file(tmp_path):
    move = np.eye(4)
    move[:3, 3] = (10, 20, 30)
    Pose.from_matrix(move).save(tmp_path / "move.tfm")
    parameters = sitk.ReadTransform(str(tmp_path / "move.tfm")).GetParameters()
    np.testing.assert_allclose(parameters[-3:], (-10, -20, 30))


def test_points_follow_the_matrix_and_come_back_by_the_inverse():
    pose = Pose.from_matrix(TURNED)
    points = np.random.default_rng(0).uniform(-50, 50, (20, 3))
    there = pose.points(points)
    np.testing.assert_allclose(there, points @ TURNED[:3, :3].T + TURNED[:3, 3])
    np.testing.assert_allclose(pose.inverse().points(there), points, atol=1e-9)


@pytest.mark.parametrize("name", ["pose.tfm", "pose.txt", "pose.h5"])
def test_a_linear_pose_survives_its_file(tmp_path, name):
    Pose.from_matrix(TURNED).save(tmp_path / name)
    np.testing.assert_allclose(load_pose(tmp_path / name).matrix, TURNED, atol=1e-12)


def test_a_composite_of_linear_transforms_is_one_matrix():
    parts = [Pose.from_matrix(TURNED).transform, Pose.from_matrix(TURNED).transform]
    np.testing.assert_allclose(Pose(sitk.CompositeTransform(parts)).matrix, TURNED @ TURNED, atol=1e-12)


def test_a_deformable_pose_survives_an_h5_file_and_takes_no_other(tmp_path):
    pose = Pose(sitk.CompositeTransform([Pose.from_matrix(TURNED).transform, spline(2.0)]))
    assert pose.matrix is None
    pose.save(tmp_path / "bent.h5")
    points = np.random.default_rng(0).uniform(-30, 30, (20, 3))
    np.testing.assert_allclose(load_pose(tmp_path / "bent.h5").points(points), pose.points(points), atol=1e-9)
    with pytest.raises(FileError, match=r"accepted: \.h5"):
        pose.save(tmp_path / "bent.tfm")


def test_displacements_on_a_grid_are_those_of_its_points():
    pose, grid = Pose(spline(2.0)), grid_of((3, 4, 5))
    way = pose.displacements(grid)
    assert way.shape == (3, 4, 5, 3)
    np.testing.assert_allclose(way + places(grid), pose.points(places(grid)).reshape(3, 4, 5, 3), atol=1e-9)


def test_a_deformable_pose_without_a_closed_inverse_says_what_to_do():
    with pytest.raises(GeometryError, match="Register the other way round"):
        Pose(spline(1.0)).inverse()


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.diag([1.0, 1, 0, 1]), np.full((4, 4), np.nan), np.eye(3)])
def test_a_matrix_that_is_no_pose_is_refused(matrix):
    with pytest.raises(GeometryError, match="invertible"):
        Pose.from_matrix(matrix)


def test_files_that_hold_no_pose_of_volumes_are_refused(tmp_path):
    sitk.WriteTransform(sitk.Euler2DTransform(), str(tmp_path / "flat.tfm"))
    with pytest.raises(GeometryError, match=r"flat\.tfm.*found 2-D"):
        load_pose(tmp_path / "flat.tfm")
    (tmp_path / "text.tfm").write_text("no transform")
    with pytest.raises(FileError, match=r"text\.tfm"):
        load_pose(tmp_path / "text.tfm")
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF")
    with pytest.raises(FileError, match=r"cut\.h5"):
        load_pose(tmp_path / "cut.h5")
    with pytest.raises(FileError, match="no such file"):
        load_pose(tmp_path / "none.tfm")
    (tmp_path / "pose.nii").write_bytes(b"")
    with pytest.raises(FileError, match=r"accepted: \.tfm"):
        load_pose(tmp_path / "pose.nii")


def test_a_failed_save_keeps_what_stood_there(tmp_path, monkeypatch):
    path = tmp_path / "pose.tfm"
    Pose.from_matrix(TURNED).save(path)
    old = path.read_bytes()

    def full(*_):
        raise RuntimeError("no space left")

    monkeypatch.setattr(sitk, "WriteTransform", full)
    with pytest.raises(SaveError, match="no space left"):
        Pose.from_matrix(np.eye(4)).save(path)
    assert path.read_bytes() == old
    assert [each.name for each in tmp_path.iterdir()] == ["pose.tfm"]
    with pytest.raises(FileError, match="no folder"):
        Pose.from_matrix(TURNED).save(tmp_path / "missing" / "pose.tfm")


def test_a_transform_that_bends_nothing_resamples_as_none_does():
    source, target = grid_of((20, 24, 22), (2, 2, 2), (-20, -22, -20)), grid_of()
    linear = Pose.from_matrix(TURNED)
    bent = Pose(sitk.CompositeTransform([linear.transform, spline(0.0)]))
    values = np.random.default_rng(0).random(source.shape, np.float32)
    values[3, 4, 5] = np.nan
    volume = Volume(values, source, "MR")
    seen = field_of_view(volume, target, linear)
    np.testing.assert_array_equal(field_of_view(volume, target, bent), seen)
    filled = np.nan_to_num(values)
    expected = resample(filled, source, target, pose=linear)
    np.testing.assert_allclose(resample(filled, source, target, pose=bent)[seen], expected[seen], atol=1e-4)


def test_a_deformation_moves_each_voxel_once_to_where_its_points_go():
    source, target = grid_of((80, 80, 80), (0.75, 0.75, 0.75), (-30, -30, -30)), grid_of()
    pose = Pose(sitk.CompositeTransform([Pose.from_matrix(TURNED).inverse().transform, spline(2.0)]))
    values = resample(blob(places(source)).astype(np.float32), source, target, pose=pose, interpolation="bspline")
    inside = field_of_view(Volume(np.ones(source.shape), source, "MR"), target, pose)
    expected = blob(pose.points(places(target))).reshape(target.shape)
    # The blob's curvature over one voxel and the smoothing for the coarser target.
    np.testing.assert_allclose(values[inside], expected[inside], atol=0.03)
