"""Volumes that do not lie on each other: poses given, found, told, shown, and each voxel interpolated once."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from MedFusionLib import registration
from MedFusionLib.cli import main
from MedFusionLib.errors import GeometryError, ParameterError
from MedFusionLib.files.formats import LPS_TO_RAS
from MedFusionLib.harmonize import align
from MedFusionLib.harmonize.pose import Pose, load_pose
from MedFusionLib.harmonize.resample import field_of_view, resample
from MedFusionLib.load import load_volume
from MedFusionLib.matching import registration_picture
from MedFusionLib.phantom import head_phantom, offset_matrix
from MedFusionLib.pipeline import fuse
from MedFusionLib.save import save_volume
from MedFusionLib.volume import Grid

HEAD = {"shape": (40, 56, 48), "spacing": (4, 4, 4)}
OFFSET = (6, -4, 9, 8, -10, 5)


@pytest.fixture(scope="module")
def ct():
    return head_phantom("CT", **HEAD)


@pytest.fixture(scope="module")
def moved():
    return head_phantom("MR", offset=OFFSET, seed=1, **HEAD)


def bent():
    """A pose that turns, shifts and bends by some millimeters."""
    box = sitk.Image([12, 12, 12], sitk.sitkFloat32)
    box.SetOrigin((-120, -120, -120))
    box.SetSpacing((22, 22, 22))
    spline = sitk.BSplineTransformInitializer(box, [4, 4, 4], 3)
    spline.SetParameters(np.random.default_rng(0).normal(0, 4, len(spline.GetParameters())).tolist())
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.1, -0.05, 0.08)
    turn.SetTranslation((5, -3, 4))
    return Pose(sitk.CompositeTransform([turn, spline]))


@pytest.mark.parametrize("pose", [Pose.from_matrix(offset_matrix(OFFSET)), bent()], ids=["linear", "deformable"])
def test_fusing_with_a_pose_is_fusing_what_was_resampled_with_it(ct, moved, pose):
    fused = fuse([ct, moved], poses=[None, pose])
    placed = resample(moved.array, moved.grid, ct.grid, pose=pose)
    seen = np.where(field_of_view(moved, ct.grid, pose), placed, np.nan)
    there = fuse([ct, replace(moved, array=seen, grid=ct.grid)], windows=fused.story["plan"]["windows"])
    # One interpolation and the same arithmetic: the demand is 1e-5, the difference none but rounding.
    np.testing.assert_allclose(fused.volume.array, there.volume.array, atol=1e-6)
    assert np.abs(fused.volume.array - fuse([ct, moved]).volume.array).max() > 0.1


def test_a_matrix_moves_a_volume_as_its_own_grid_would(ct, moved):
    matrix = offset_matrix(OFFSET)
    carried = replace(moved, grid=Grid(moved.grid.shape, np.linalg.solve(matrix, moved.grid.affine)))
    np.testing.assert_allclose(
        fuse([ct, moved], poses=[None, matrix]).volume.array, fuse([ct, carried]).volume.array, atol=1e-6
    )


def test_color_goes_where_its_volume_goes(ct):
    pet = head_phantom("PET", offset=OFFSET, seed=2, **HEAD)
    still = align([ct, head_phantom("PET", seed=2, **HEAD)], color="hot")
    there = align([ct, pet], color="hot", poses=[None, offset_matrix(OFFSET)])
    apart = align([ct, pet], color="hot")

    def off(aligned):
        return np.abs(aligned.chroma - still.chroma)[still.mask].mean()

    # The noise of the two scans is not the same.
    assert off(there) < 0.6 * off(apart)


def test_what_a_registration_found_brings_the_fused_volume_close_to_the_aligned_one(ct, moved):
    windows = {"windows": [(-450, 1050), (0, 1000)]}
    found = fuse([ct, moved], register="rigid", **windows)
    aligned = fuse([ct, head_phantom("MR", seed=1, **HEAD)], **windows).volume.array
    apart = fuse([ct, moved], **windows).volume.array
    # What is left is noise, and the blur of one interpolation.
    assert np.abs(found.volume.array - aligned).mean() < 0.5 * np.abs(apart - aligned).mean()
    none, told = found.story["registration"]
    assert none is None
    assert told["kind"] == "rigid"
    assert told["nmi_after"] > told["nmi_before"]
    assert found.poses[0] is None
    json.dumps(found.story)


def test_the_plan_of_a_registered_result_makes_it_again_without_registering(ct, moved):
    found = fuse([ct, moved], register="rigid")
    plan = found.story["plan"]
    assert "register" not in plan
    again = fuse([ct, moved], parameters=found.story["parameters"], **plan)
    np.testing.assert_array_equal(again.volume.array, found.volume.array)


def test_volumes_are_registered_to_the_reference_each_for_itself(ct, moved):
    pet = head_phantom("PET", offset=[-value for value in OFFSET], seed=2, **HEAD)
    found = fuse([moved, ct, pet], register="rigid", reference=1)
    assert found.poses[1] is None
    center = np.zeros((1, 3))
    for pose, offset in ((found.poses[0], OFFSET), (found.poses[2], [-value for value in OFFSET])):
        truth = Pose.from_matrix(offset_matrix(offset)).points(center)
        # The demand is one voxel of the coarser image.
        assert np.linalg.norm(pose.points(center) - truth) < 4


@pytest.mark.parametrize(
    ("poses", "words"),
    [
        ([None], "one for each of 2"),
        ([np.eye(4), None], "Pose of the reference"),
        ([None, np.zeros((4, 4))], "invertible"),
        ([None, np.eye(3)], "invertible"),
    ],
)
def test_poses_that_cannot_be_are_refused(ct, moved, poses, words):
    with pytest.raises(GeometryError, match=words):
        fuse([ct, moved], poses=poses)


def test_an_unknown_registration_is_refused_before_any_work(ct, moved):
    with pytest.raises(ParameterError, match="none, rigid, affine, deformable"):
        fuse([ct, moved], register="elastic")


def test_the_picture_shows_the_moved_volume_before_and_after(ct, moved):
    aligned = align([ct, moved], poses=[None, offset_matrix(OFFSET)])
    picture = np.asarray(registration_picture([ct, moved], aligned)).astype(int)
    width = picture.shape[1] // 6
    columns = [picture[:, n * width : (n + 1) * width] for n in range(6)]
    before, after = ((np.abs(column[..., 0] - column[..., 1])).mean() for column in columns[4:])
    assert after < before
    # Edges are red, and the same ones before and after but for the other volume's gray around them.
    red = [(column[..., 0] > 200) & (column[..., 2] < 80) for column in columns[2:4]]
    assert red[0].sum() > 500
    assert abs(int(red[0].sum()) - int(red[1].sum())) < 0.1 * red[0].sum()


def test_there_is_no_picture_of_what_has_not_moved(ct, moved):
    with pytest.raises(GeometryError, match="with a pose"):
        registration_picture([ct, moved], align([ct, moved]))


def test_the_terminal_registers_and_takes_its_transforms_back(ct, moved, tmp_path, capsys):
    one, other = save_volume(ct, tmp_path / "ct.nii.gz"), save_volume(moved, tmp_path / "mr.nii.gz")
    first, second = tmp_path / "first.nii.gz", tmp_path / "second.nii.gz"
    line = ["fuse", str(one), str(other), "--modality", "CT", "MR"]
    extra = ["--register", "rigid", "--save-transforms", str(tmp_path / "t"), "--montage", str(tmp_path / "m.png")]
    assert main([*line, "-o", str(first), *extra]) == 0
    (transform,) = (tmp_path / "t").iterdir()
    assert transform.name == "2-mr.tfm"
    truth = Pose.from_matrix(offset_matrix(OFFSET)).points(np.zeros((1, 3)))
    assert np.linalg.norm(load_pose(transform).points(np.zeros((1, 3))) - truth) < 4
    assert main([*line, "-o", str(second), "--transform", str(transform)]) == 0
    # The file keeps the transform's doubles.
    np.testing.assert_allclose(load_volume(second, "OTHER").array, load_volume(first, "OTHER").array, atol=1e-6)
    scored = ["evaluate", str(second), str(one), str(other), "--modality", "CT", "MR", "--metrics", "nmi", "--csv"]
    capsys.readouterr()
    values = []
    for given in ([], ["--transform", str(transform)]):
        assert main([*scored, *given]) == 0
        values.append(float(capsys.readouterr().out.splitlines()[1].split(",")[2]))
    assert values[1] > values[0]


def test_a_missing_transform_is_one_clear_line(ct, tmp_path, capsys):
    path = str(save_volume(ct, tmp_path / "ct.nii.gz"))
    code = main(
        ["fuse", path, path, "--modality", "CT", "MR", "-o", str(tmp_path / "o.nii.gz"), "--transform", "no.tfm"]
    )
    assert code == 2
    assert "no.tfm" in capsys.readouterr().err


def test_a_way_back_that_ends_elsewhere_is_told(ct, moved, monkeypatch):
    lps = LPS_TO_RAS @ offset_matrix(OFFSET) @ LPS_TO_RAS
    monkeypatch.setattr(registration, "_linear", lambda *_: (lps, np.eye(4)))
    (note,) = registration.register(ct, moved).quality.notes
    assert "other way round" in note
