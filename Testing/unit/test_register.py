"""Registration finds where the patient lies, says how well, and refuses what it cannot do."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.stats import spearmanr

from MedFusionLib import registration as module
from MedFusionLib.errors import Cancelled, DataError, GeometryError, ParameterError, RegistrationError
from MedFusionLib.harmonize.color import colorize
from MedFusionLib.harmonize.pose import Pose, load_pose
from MedFusionLib.harmonize.resample import resample
from MedFusionLib.load import load_volume
from MedFusionLib.phantom import head_labels, head_phantom, offset_matrix
from MedFusionLib.registration import register
from MedFusionLib.registration.climb import Level, Watch, climb
from MedFusionLib.registration.frames import Frames
from MedFusionLib.registration.images import Pair, seen
from MedFusionLib.registration.information import Information
from MedFusionLib.registration.lattice import Lattice
from MedFusionLib.registration.quality import jacobian, movement, thinned
from MedFusionLib.volume import LEVELS, Grid, Volume

SPACING = (4, 4, 4)
OFFSET = (9, -11, 13, 14, -16, 18)
"""20 degrees in all and 28 mm."""


@cache
def head(modality, offset=None, seed=0, **where):
    return head_phantom(modality, offset=offset, seed=seed, **({"spacing": SPACING} | where))


def object_places(grid, side=16):
    small = thinned(grid, side)
    index = np.argwhere(head_labels(small) > 0)[:, ::-1]
    return index @ small.affine[:3, :3].T + small.affine[:3, 3]


def error(pose, truth, reference):
    points = object_places(reference.grid)
    return np.linalg.norm(pose.points(points) - truth.points(points), axis=1).mean()


def elsewhere(volume, matrix, **changes):
    """The same voxels, with a header that says another place."""
    return Volume(volume.array, Grid(volume.grid.shape, matrix @ volume.grid.affine), volume.modality, **changes)


@pytest.fixture(scope="module")
def heads():
    return {modality: head(modality) for modality in ("CT", "MR", "PET", "SPECT")}


@pytest.fixture(scope="module")
def rigid(heads):
    return register(heads["CT"], head("MR", OFFSET, 1))


@pytest.mark.parametrize(("one", "other"), [("CT", "MR"), ("MR", "PET"), ("SPECT", "CT")])
def test_a_head_turned_by_20_degrees_and_moved_by_28_mm_is_found(one, other, heads):
    found = register(heads[one], head(other, OFFSET, 1))
    assert error(found.pose, Pose.from_matrix(offset_matrix(OFFSET)), heads[one]) < 0.5 * SPACING[0]
    assert found.quality.notes == ()


def test_a_rigid_pose_is_rigid_and_its_figures_are_told(rigid):
    matrix, quality = rigid.pose.matrix[:3, :3], rigid.quality
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert quality.nmi_after > 1.5 * quality.nmi_before > 0
    assert 0.5 < quality.overlap < 1
    assert quality.inverse_mm < 1
    assert 28 < quality.displacement_mm < 90
    assert quality.bend_mm == quality.folding == 0
    assert quality.seconds > 0
    assert quality.iterations > 10
    assert quality.starts > 3


def test_the_same_input_and_seed_give_the_same_pose(rigid, heads):
    again = register(heads["CT"], head("MR", OFFSET, 1))
    np.testing.assert_array_equal(again.pose.matrix, rigid.pose.matrix)


def test_volumes_that_share_no_space_are_brought_together_with_a_note(heads):
    far = np.eye(4)
    far[:3, 3] = (500, -300, 780)
    found = register(heads["CT"], elsewhere(head("MR", OFFSET, 1), far, name="far"))
    assert error(found.pose, Pose.from_matrix(far @ offset_matrix(OFFSET)), heads["CT"]) < 0.5 * SPACING[0]
    assert "far shared no space" in found.quality.notes[0]
    assert found.quality.nmi_before is None


def test_a_start_is_climbed_from_without_a_search(heads):
    truth = offset_matrix(OFFSET)
    start = Pose.from_matrix(truth @ offset_matrix((2, -2, 2, 3, 3, -3)))
    found = register(heads["CT"], head("MR", OFFSET, 1), start=start)
    assert found.quality.starts == 1
    assert error(found.pose, Pose.from_matrix(truth), heads["CT"]) < 0.5 * SPACING[0]
    stretched = Pose.from_matrix(start.matrix @ np.diag([1.1, 1, 1, 1]))
    turn = register(heads["CT"], head("MR", OFFSET, 1), start=stretched).pose.matrix[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    bent = Pose(sitk.BSplineTransform(3, 3))
    with pytest.raises(GeometryError, match="found a deformable pose"):
        register(heads["CT"], heads["MR"], start=bent)


def test_an_affine_pose_finds_a_head_that_is_stretched(heads):
    stretch = np.diag([1.08, 0.95, 1.06, 1])
    found = register(heads["CT"], elsewhere(heads["MR"], stretch), "affine")
    before = error(Pose.from_matrix(np.eye(4)), Pose.from_matrix(stretch), heads["CT"])
    assert error(found.pose, Pose.from_matrix(stretch), heads["CT"]) < before / 3


def bent_head(modality, amplitude):
    """A head behind a smooth deformation, and that deformation."""
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainOrigin([-130.0] * 3)
    spline.SetTransformDomainPhysicalDimensions([260.0] * 3)
    spline.SetTransformDomainMeshSize([4] * 3)
    spline.SetParameters((amplitude * np.random.default_rng(0).standard_normal(3 * 7**3)).tolist())
    volume, pose = head(modality, seed=3), Pose(spline)
    return volume.with_array(resample(volume.array, volume.grid, volume.grid, pose=pose)), pose


def test_a_deformable_pose_follows_a_bent_head_without_folds(heads):
    moving, bend = bent_head("PET", 8)
    points = object_places(heads["MR"].grid)

    def left(pose):
        return np.linalg.norm(bend.points(pose.points(points)) - points, axis=1).mean()

    rigid = register(heads["MR"], moving)
    found = register(heads["MR"], moving, "deformable")
    assert left(found.pose) < 0.5 * left(rigid.pose)
    assert found.pose.matrix is None
    assert found.quality.folding == 0
    assert 1 < found.quality.bend_mm < 30
    assert found.quality.nmi_after > rigid.quality.nmi_after


def slices(modality, grid):
    return head_phantom(modality, grid=grid)


def plane(turn=(0, 0, 0), shape=(1, 120, 110), spacing=2.0):
    """A slice through the head, turned in space."""
    affine = np.diag([-spacing, -spacing, 3.0, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape)[::-1] - 1) / 2)
    return Grid(shape, offset_matrix((*turn, 0, 0, 5)) @ affine)


@pytest.mark.parametrize("turn", [(0, 0, 0), (30, 0, 0), (90, 0, 0)])
def test_slices_are_registered_in_their_plane_however_it_lies(turn):
    grid = plane(turn)
    normal, middle = grid.directions[:, 2], grid.corners.mean(0)
    within = np.eye(4)
    cross = np.cross(np.eye(3), normal)
    angle = np.radians(14)
    within[:3, :3] += np.sin(angle) * cross.T + (1 - np.cos(angle)) * cross.T @ cross.T
    within[:3, 3] = middle - within[:3, :3] @ middle + 12 * grid.directions[:, 0] - 9 * grid.directions[:, 1]
    found = register(slices("CT", grid), elsewhere(slices("MR", grid), within))
    index = np.argwhere(head_labels(grid) > 0)[::50, ::-1]
    points = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    off = found.pose.points(points) - Pose.from_matrix(within).points(points)
    assert np.linalg.norm(off, axis=1).mean() < 2.0
    assert np.abs(off @ normal).max() < 1e-6


def test_a_deformed_slice_gets_a_pose_of_volumes_that_stays_in_its_plane():
    grid = plane((20, 0, 0))
    found = register(slices("CT", grid), slices("MR", grid), "deformable")
    points = grid.corners
    way = found.pose.points(points) - points
    assert np.abs(way @ grid.directions[:, 2]).max() < 1e-6
    assert found.quality.folding == 0


def test_one_slice_against_a_volume_is_refused(heads):
    with pytest.raises(GeometryError, match="one slice and a volume"):
        register(heads["CT"], slices("MR", plane()))
    with pytest.raises(GeometryError, match="planes at 90 degrees"):
        register(slices("CT", plane()), slices("MR", plane((90, 0, 0))))


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_constant_image_is_refused(modality, heads):
    flat = Volume(np.full((20, 20, 20), 40.0), Grid((20, 20, 20), np.diag([4.0, 4, 4, 1])), modality, "flat")
    with pytest.raises(DataError, match="flat"):
        register(heads["MR"], flat)


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_centimeters_taken_for_millimeters_are_told(scale, heads):
    with pytest.raises(GeometryError, match="centimeters"):
        register(heads["CT"], elsewhere(heads["MR"], np.diag([scale, scale, scale, 1])))


def marked(modality):
    """A head whose left half shows a large dark defect: mirrored it is another."""
    volume = head(modality)
    array, width = volume.array.copy(), volume.grid.shape[2]
    array[12:30, 15:40, width // 2 + 6 :] = array.min()
    return volume.with_array(array, name=f"marked {modality}")


def test_a_head_mirrored_left_to_right_is_told():
    one, other = marked("MR"), marked("PET")
    assert not any("mirrored" in note for note in register(one, other).quality.notes)
    mirrored = other.with_array(np.ascontiguousarray(other.array[..., ::-1]))
    (note,) = (note for note in register(one, mirrored).quality.notes if "mirrored" in note)
    assert "marked PET fits 1." in note


@pytest.mark.slow
def test_noise_is_not_registered_to_a_head_in_silence(heads):
    grid = heads["MR"].grid
    noise = Volume(np.random.default_rng(0).random(grid.shape), grid, "MR", "noise")
    try:
        quality = register(heads["CT"], noise).quality
    except RegistrationError:
        return
    assert quality.nmi_after < 0.02


def test_a_pose_that_is_worse_than_the_given_one_is_refused(heads, monkeypatch):
    monkeypatch.setattr(module, "_linear", lambda *_: (offset_matrix((0, 0, 20, 20, 0, 0)), np.eye(4)))
    with pytest.raises(RegistrationError, match=r"shared information 0.*before 0"):
        register(heads["CT"], heads["MR"])


def test_a_stretch_that_no_patient_makes_is_told(heads):
    stretch = np.diag([1.25, 1.25, 1.25, 1])
    notes = register(heads["CT"], elsewhere(heads["MR"], stretch, name="large"), "affine").quality.notes
    assert any("large is stretched by 2" in note for note in notes)


def test_an_unknown_kind_is_refused(heads):
    with pytest.raises(ParameterError, match="rigid, affine, deformable"):
        register(heads["CT"], heads["MR"], "elastic")


@pytest.mark.parametrize(("kind", "word"), [("rigid", "rigid"), ("deformable", "mesh")])
def test_cancel_reaches_inside_the_optimizer(kind, word, heads, capfd):
    told = []

    def progress(fraction, message):
        told.append(fraction)
        if word in message and fraction > 0.27:
            raise Cancelled

    with pytest.raises(Cancelled):
        register(heads["PET"], heads["SPECT"], kind, progress=progress)
    assert told == sorted(told)
    assert capfd.readouterr() == ("", "")


def test_the_optimizer_stops_at_once_when_the_caller_raises(heads):
    pair = Pair(Frames.of(heads["PET"].grid, heads["SPECT"].grid), *(seen(heads[name], 4) for name in ("PET", "SPECT")))

    def progress(fraction, message):
        raise KeyboardInterrupt

    watch = Watch(progress)
    with pytest.raises(KeyboardInterrupt):
        climb(pair, offset_matrix((0, 0, 9, 9, 0, 0)), "rigid", [Level(4.0, 2000)], 0, watch)
    assert watch.iterations == 1


def test_progress_rises_from_0_to_1(heads):
    told = []
    register(heads["PET"], heads["SPECT"], progress=lambda fraction, message: told.append(fraction))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)


def test_voxels_without_a_number_and_outside_the_mask_do_not_count(heads):
    moving = head("MR", OFFSET, 1)
    holed, spoiled = moving.array.copy(), heads["CT"].array.copy()
    holed[:, :, :8] = np.nan
    spoiled[:, :12] = 3000
    mask = np.ones(spoiled.shape, bool)
    mask[:, :12] = False
    found = register(heads["CT"].with_array(spoiled), moving.with_array(holed), mask=mask)
    assert error(found.pose, Pose.from_matrix(offset_matrix(OFFSET)), heads["CT"]) < 0.5 * SPACING[0]
    with pytest.raises(GeometryError, match="Mask of"):
        register(heads["CT"], moving, mask=mask[:5])


def test_what_has_no_number_does_not_count_and_color_counts_by_its_uptake(heads):
    holed = heads["PET"].array.copy()
    holed[:9] = np.inf
    image = seen(heads["PET"].with_array(holed), 0.0)
    np.testing.assert_array_equal(image.mask, np.isfinite(holed))
    assert np.isfinite(image.coarse(12.0).values).all()
    levels = np.rint(np.clip(heads["PET"].array / 20, 0, 1) * 255)
    color = np.rint(colorize(levels / 255, "atlas-pet") * 255).astype(np.uint8)
    painted = seen(heads["PET"].with_array(color, unit=LEVELS), 0.0).values
    plain = seen(heads["PET"].with_array(levels, unit=LEVELS), 0.0).values
    assert np.abs(painted - plain).mean() < 0.01


def test_slices_that_are_cut_otherwise_start_where_their_headers_put_them():
    whole, part = plane((30, 20, 0)), plane((30, 20, 0), shape=(1, 60, 50))
    np.testing.assert_allclose(Frames.of(whole, part).lowered(np.eye(4)), np.eye(3), atol=1e-12)


def test_pseudo_color_is_registered_by_its_uptake(heads):
    moving = head("PET", OFFSET, 1)
    painted = colorize(moving.array / moving.array.max(), "pet-rainbow")
    color = Volume(np.rint(painted * 255).astype(np.uint8), moving.grid, "PET", unit=LEVELS)
    found = register(heads["MR"], color)
    assert error(found.pose, Pose.from_matrix(offset_matrix(OFFSET)), heads["MR"]) < 0.5 * SPACING[0]


def test_pseudo_color_of_an_unknown_palette_is_seen_by_what_grows_with_uptake(heads):
    uptake = np.clip(heads["PET"].array / np.percentile(heads["PET"].array, 99), 0, 1)
    # Darker than gray in the middle of its palette.
    corners = np.array([(0, 0, 0), (40, 70, 75), (80, 0, 140), (170, 75, 125), (255, 115, 0)])
    painted = np.stack([np.interp(uptake, np.linspace(0, 1, 5), channel) for channel in corners.T], -1)
    color = Volume(np.rint(painted).astype(np.uint8), heads["PET"].grid, "PET", unit=LEVELS)
    shown = uptake > 0.1

    def order(volume):
        return spearmanr(seen(volume, 0.0).values[shown], uptake[shown])[0]

    assert order(color) > 0.99
    # What is not made of uptake is seen by its luma.
    assert order(replace(color, modality="OTHER")) < 0.97


def test_information_of_a_copy_is_its_entropy_and_its_slope_is_a_slope():
    rng = np.random.default_rng(0)
    fixed, moving = rng.random(4000), rng.random(4000)
    information = Information(fixed, 16)
    value, slope = information(moving)
    assert information(fixed)[0] > 1.7
    assert value < 0.1
    way = rng.standard_normal(4000)
    change = information(moving + 1e-6 * way)[0] - information(moving - 1e-6 * way)[0]
    assert abs(change / 2e-6 - slope @ way) < 1e-4 * abs(slope @ way)


@pytest.mark.parametrize("shape", [(9, 12), (7, 9, 8)])
def test_a_lattice_and_its_transform_put_points_in_the_same_place(shape):
    d = len(shape)
    affine = np.eye(d + 1)
    affine[:-1, :-1] = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])[:d, :d] * (2.0, 3.0, 4.0)[:d]
    affine[:-1, -1] = (5, -7, 9)[:d]
    lattice = Lattice(shape, affine, 8.0)
    coefficients = np.random.default_rng(0).standard_normal(lattice.shape)
    field, transform = lattice.field(coefficients), lattice.transform(coefficients, np.eye(4))
    for index in ((0,) * d, tuple(n // 2 for n in shape), tuple(n - 1 for n in shape)):
        point = np.zeros(3)
        point[:d] = (affine @ np.r_[index[::-1], 1])[:-1]
        way = np.array(transform.TransformPoint(point.tolist())) - point
        np.testing.assert_allclose(way[:d], field[index], atol=1e-12)
    finer = Lattice(shape, affine, 4.0)
    # Twice as many control points hold the same splines only about: the cells are no exact halves.
    np.testing.assert_allclose(finer.field(finer.fitted(lattice, coefficients)), field, atol=0.2)


@pytest.mark.parametrize("energy", [lambda lattice, c: lattice.bending(c, 20.0), Lattice.stretching])
def test_the_slope_of_an_energy_is_its_slope(energy):
    lattice, rng = Lattice((9, 12, 10), np.diag([2.0, 3, 4, 1]), 9.0), np.random.default_rng(0)
    at, way = rng.standard_normal((2, *lattice.shape))
    change = (energy(lattice, at + 1e-4 * way)[0] - energy(lattice, at - 1e-4 * way)[0]) / 2e-4
    assert abs(change - (energy(lattice, at)[1] * way).sum()) < 1e-6 * abs(change)


def test_a_steady_stretch_has_strain_but_no_bending():
    lattice = Lattice((12, 12, 12), np.diag([2.0, 2, 2, 1]), 8.0)
    coefficients = np.zeros(lattice.shape)
    coefficients[..., 2] = 0.1 * lattice._h[0] * np.arange(lattice.shape[0])[:, None, None]
    assert lattice.bending(coefficients, 30)[0] < 1e-20
    assert abs(lattice.stretching(coefficients)[0] - 0.01) < 1e-9


def test_folding_is_seen_where_space_turns_inside_out():
    grid = Grid((8, 9, 10), np.diag([2.0, 2, 2, 1]))
    places = np.moveaxis(np.indices(grid.shape)[::-1], 0, -1) * 2.0
    np.testing.assert_allclose(jacobian(places * 1.1, grid), 1.1**3)
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainOrigin([-30.0] * 3)
    spline.SetTransformDomainPhysicalDimensions([60.0] * 3)
    spline.SetTransformDomainMeshSize([6] * 3)
    spline.SetParameters((30 * np.random.default_rng(0).standard_normal(3 * 9**3)).tolist())
    folding = movement(Pose(spline), grid, Grid((60, 60, 60), np.diag([1.0, 1, 1, 1])))[3]
    assert 0.05 < folding < 1


def test_a_moved_patient_is_found_to_a_tenth_of_a_voxel(shared_data):
    folder = shared_data / "volumes"
    reference = load_volume(folder / "sts_triplets" / "STS_033" / "PET_image.nii.gz", "PET")
    moving = load_volume(folder / "gt_rigid" / "STS_033_PET_moved.nii.gz", "PET")
    truth = load_pose(folder / "gt_rigid" / "STS_033_PET_moved.tfm")
    points = thinned(reference.grid, 8).corners
    found = register(reference, moving).pose
    assert np.linalg.norm(found.points(points) - truth.points(points), axis=1).max() < 0.5


@pytest.mark.slow
def test_a_scan_of_another_day_780_mm_away_and_turned_by_35_degrees_is_found(shared_data):
    folder = shared_data / "volumes"
    reference = load_volume(folder / "sts_triplets" / "STS_001" / "MR_T1_image.nii.gz", "MR")
    moving = load_volume(folder / "sts001_raw" / "MR_T1_native.nii.gz", "MR")
    truth = load_pose(folder / "sts001_raw" / "T_petct_to_mr_native_silver.tfm")
    points = thinned(reference.grid, 8).corners
    found = register(reference, moving).pose
    assert np.linalg.norm(found.points(points) - truth.points(points), axis=1).mean() < 1.5
