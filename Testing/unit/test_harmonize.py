"""One grid, one range: geometry, interpolation, windows, mask, and the errors of volumes that do not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from MedFusionLib.errors import DataError, GeometryError, NoOverlapError, ParameterError, UnknownNameError
from MedFusionLib.harmonize import align
from MedFusionLib.harmonize.grid import common_grid
from MedFusionLib.harmonize.mask import foreground
from MedFusionLib.harmonize.normalize import CT_WINDOW, window_of
from MedFusionLib.harmonize.pose import Pose
from MedFusionLib.harmonize.resample import field_of_view, filled, resample
from MedFusionLib.phantom import head_phantom
from MedFusionLib.volume import Grid, Volume, Window, unit_of


def rotation(degrees=25.0):
    a, b = np.radians(degrees), np.radians(degrees / 3)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_z @ about_x


def grid_of(shape, spacing, origin=(0.0, 0.0, 0.0), axes=None):
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if axes is None else axes) * np.asarray(spacing)
    affine[:3, 3] = origin
    return Grid(shape, affine)


def ramp_on(grid, weights=(0.3, -0.2, 0.5), offset=100.0):
    """A linear function of RAS position: linear interpolation must reproduce it exactly, wherever the grid lies."""
    index = np.indices(grid.shape)[::-1].reshape(3, -1)
    world = grid.affine[:3, :3] @ index + grid.affine[:3, 3:]
    return (np.asarray(weights) @ world + offset).reshape(grid.shape).astype(np.float32)


def blob_on(grid, center, width):
    index = np.indices(grid.shape)[::-1].reshape(3, -1)
    world = grid.affine[:3, :3] @ index + grid.affine[:3, 3:]
    distance = ((world - np.asarray(center)[:, None]) ** 2).sum(0)
    return np.exp(-distance / (2 * width**2)).reshape(grid.shape).astype(np.float32)


LEFT_HANDED = np.diag([-1.0, 1, 1])
SHEARED = np.array([[1.0, 0, 0], [0, 1, 0.25], [0, 0, 0.97]])


@pytest.mark.parametrize("axes", [None, rotation(), LEFT_HANDED, LEFT_HANDED @ rotation(40), SHEARED])
@pytest.mark.parametrize("interpolation", ["linear", "bspline"])
def test_the_same_place_keeps_its_value_on_any_grid(axes, interpolation):
    source = grid_of((40, 44, 42), (2, 1.5, 1.8), (-40, -30, -35), axes)
    center = source.corners.mean(0)
    target = grid_of((12, 14, 13), (1.1, 1.3, 0.9), center - 7, rotation(-15))
    values = resample(ramp_on(source), source, target, interpolation=interpolation)
    # Values around 100 in float32, a dozen roundings: 1e-4. B-splines mirror at the edge, far from here.
    np.testing.assert_allclose(values, ramp_on(target), atol=2e-4 if interpolation == "linear" else 1e-2)


def test_a_grid_resampled_onto_itself_is_not_touched():
    grid = grid_of((5, 6, 7), (1, 2, 3), (10, 20, 30), rotation())
    values = np.random.default_rng(0).random(grid.shape, dtype=np.float32)
    assert np.shares_memory(resample(values, grid, grid), values)


def test_a_pose_moves_the_source():
    grid = grid_of((20, 20, 20), (1, 1, 1))
    move = np.eye(4)
    move[:3, 3] = (3, -2, 1)  # the target's point p shows the source's p + (3, -2, 1)
    values = resample(blob_on(grid, (12, 7, 10), 2), grid, grid, pose=Pose.from_matrix(move))
    np.testing.assert_allclose(values[3:-3, 3:-3, 3:-3], blob_on(grid, (9, 9, 9), 2)[3:-3, 3:-3, 3:-3], atol=1e-6)


def test_downsampling_suppresses_what_the_coarse_grid_cannot_hold():
    fine = grid_of((64, 64, 64), (1, 1, 1))
    coarse = grid_of((12, 12, 12), (4, 4, 4), (8, 8, 8))
    checker = (np.indices(fine.shape).sum(0) % 2).astype(np.float32)
    # Without smoothing every fourth voxel of a checkerboard is 0 or 1; smoothed it is the mean.
    assert np.abs(resample(checker, fine, coarse) - 0.5).max() < 0.02
    assert np.abs(resample(checker, fine, coarse, interpolation="nearest") - 0.5).min() == 0.5


def test_labels_stay_labels():
    fine = grid_of((20, 20, 20), (1, 1, 1))
    labels = np.random.default_rng(0).integers(0, 5, fine.shape)
    moved = resample(labels, fine, grid_of((9, 9, 9), (2, 2, 2), (0.4, 0, 0), rotation(10)), interpolation="nearest")
    assert set(np.unique(moved)) <= {0, 1, 2, 3, 4}


def test_a_spline_stays_in_the_range_of_its_source():
    coarse = grid_of((8, 8, 8), (4, 4, 4))
    step = np.zeros(coarse.shape, np.float32)
    step[:, :, 4:] = 1
    values = resample(step, coarse, grid_of((20, 20, 20), (1, 1, 1), (5, 5, 5)), interpolation="bspline")
    assert values.min() >= 0
    assert values.max() <= 1


def test_the_field_of_view_ends_at_the_edge_of_the_outermost_voxels():
    source = Volume(np.ones((4, 4, 4)), grid_of((4, 4, 4), (2, 2, 2)), "MR")  # edges at -1 and 7 mm
    target = grid_of((1, 1, 21), (0.5, 1, 1), (-2, 3, 3))
    at = -2 + 0.5 * np.arange(21)
    np.testing.assert_array_equal(field_of_view(source, target)[0, 0], (at >= -1) & (at <= 7))


@pytest.mark.parametrize("shift", [-0.5, 0.5])
@pytest.mark.parametrize("slices", [1, 8])
def test_up_to_that_edge_the_values_are_those_of_the_volume(shift, slices):
    # Half a voxel off the outermost centers lies inside the last voxel; 0 there would be 0 HU: tissue in the air.
    source = grid_of((slices, 8, 8), (1, 1, 1))
    target = grid_of((slices, 8, 8), (1, 1, 1), (shift, shift, shift))
    air = Volume(np.full(source.shape, -900.0), source, "CT", unit="HU")
    for interpolation in ("linear", "bspline", "nearest"):
        values = resample(air.array, source, target, interpolation=interpolation)
        np.testing.assert_allclose(values, -900, atol=1e-3)
    assert field_of_view(air, target).all()


def test_straightening_a_tilted_stack_keeps_its_detail():
    # A gantry tilt of 20 degrees is shear: no voxel gets larger, so nothing may be smoothed.
    axes = np.eye(3)
    axes[1, 2], axes[2, 2] = np.sin(np.radians(20)), np.cos(np.radians(20))
    tilted = grid_of((12, 60, 60), (0.5, 0.5, 5), axes=axes)
    stripes = np.broadcast_to(np.sin(2 * np.pi * np.arange(60) * 0.5 / 2.5), tilted.shape).astype(np.float32)
    straight = common_grid([Volume(stripes, tilted, "CT")], 0)
    field = field_of_view(Volume(stripes, tilted, "CT"), straight)
    kept = resample(stripes, tilted, straight)[field].std() / stripes.std()
    assert kept > 0.9


def test_voxels_without_a_number_are_outside_the_field_of_view_and_spread_nothing():
    grid = grid_of((10, 10, 10), (1, 1, 1))
    array = ramp_on(grid)
    array[4:6, 4:6, 4:6] = np.nan
    array[0, 0, 0] = np.inf
    mr = Volume(array, grid, "MR")
    aligned = align([Volume(ramp_on(grid), grid, "MR"), mr])
    assert not aligned.fields[1, 4:6, 4:6, 4:6].any()
    assert aligned.fields[1].sum() == 1000 - 8 - 1
    assert np.isfinite(aligned.volumes[1].array).all()
    assert np.isfinite(filled(array)).all()


def test_the_reference_gives_the_grid_and_the_order_stays():
    ct = Volume(ramp_on(grid_of((20, 20, 20), (2, 2, 2))), grid_of((20, 20, 20), (2, 2, 2)), "CT", unit="HU")
    mr = Volume(ramp_on(grid_of((30, 30, 30), (1, 1, 1))), grid_of((30, 30, 30), (1, 1, 1)), "MR")
    aligned = align([ct, mr], reference=1)
    assert aligned.grid.same_as(mr.grid)
    assert aligned.modalities == ("CT", "MR")
    assert aligned.reference == 1


@pytest.mark.parametrize(("spacing", "expected"), [(1.0, (1, 1, 1)), ((1, 2, 3), (1, 2, 3)), ("finest", (0.5,) * 3)])
def test_a_chosen_spacing_keeps_the_box(spacing, expected):
    fine = Volume(np.ones((4, 4, 4)), grid_of((4, 4, 4), (0.5, 1, 1)), "MR")
    reference = Volume(np.ones((6, 12, 12)), grid_of((6, 12, 12), (2, 2, 4), (5, 6, 7), rotation()), "MR")
    grid = common_grid([reference, fine], 0, spacing)
    np.testing.assert_allclose(grid.spacing, expected)
    # 24 mm along every axis, edge to edge.
    np.testing.assert_allclose(np.array(grid.shape[::-1]) * grid.spacing, [24, 24, 24])
    first_edges = [g.affine @ [-0.5, -0.5, -0.5, 1] for g in (grid, reference.grid)]
    np.testing.assert_allclose(*first_edges, atol=1e-9)


def test_a_voxel_larger_than_the_box_lies_in_its_middle():
    volume = Volume(np.ones((6, 12, 12)), grid_of((6, 12, 12), (2, 2, 4), (5, 6, 7), rotation()), "MR")
    grid = common_grid([volume], 0, 1000)
    assert grid.shape == (1, 1, 1)
    np.testing.assert_allclose(grid.corners[0], volume.grid.corners.mean(0))


def test_what_looks_like_a_mistake_is_told():
    grid = grid_of((8, 8, 8), (1, 1, 1))
    ct = Volume(np.linspace(-1000, 1000, 512).reshape(8, 8, 8), grid, "MR", "really CT")
    mr = ramp_on(grid)
    mr[0, 0, :3] = np.nan
    notes = align([ct, Volume(mr, grid, "CT", "really MR"), Volume(mr, grid, "CT", "copy")], color="hot").story["notes"]
    told = " / ".join(notes)
    assert "really CT is said to be MR, but goes down to -1000" in told
    assert "really MR is said to be CT, but" in told
    assert "really MR has no number in 3 of its voxels" in told
    assert "copy and really MR are the same image" in told
    assert "Nothing was colored by hot" in told


def test_infinite_voxels_are_not_taken_for_air():
    grid = grid_of((8, 8, 8), (1, 1, 1))
    mr = ramp_on(grid)
    mr[0, 0, 0] = -np.inf
    notes = align([Volume(ramp_on(grid), grid, "MR"), Volume(mr, grid, "MR", "other")]).story["notes"]
    assert notes == ["other has no number in 1 of its voxels; they count as outside its field of view"]


def test_a_sheared_reference_is_straightened_so_that_the_result_can_be_saved():
    grid = grid_of((10, 12, 14), (1, 1, 4), axes=SHEARED)
    straight = common_grid([Volume(np.ones(grid.shape), grid, "CT")], 0)
    assert straight.is_rectangular
    inside = np.linalg.solve(straight.affine, np.c_[grid.corners, np.ones(8)].T)[:3]
    # All of the tilted box lies within half a voxel of the straight one.
    assert (inside >= -0.5).all()
    assert (inside <= np.array(straight.shape[::-1])[:, None] - 0.5).all()
    assert straight.spacing[:2] == pytest.approx((1, 1))


def test_a_spacing_finer_than_memory_holds_is_told_with_its_grid():
    volume = Volume(np.ones((200, 200, 200), np.uint8), grid_of((200, 200, 200), (1, 1, 1)), "MR")
    with pytest.raises(GeometryError, match=r"0.001.*200000 x 200000 x 200000 voxels.*coarser"):
        common_grid([volume], 0, 0.001)


def test_an_unknown_interpolation_is_told_even_if_nothing_is_interpolated():
    volume = Volume(np.eye(4)[None], grid_of((1, 4, 4), (1, 1, 1)), "MR")
    with pytest.raises(ParameterError, match="'cubic'; accepted: linear, bspline, nearest"):
        align([volume, volume], interpolation="cubic")


def test_numbers_of_numpy_are_taken_and_the_story_stays_plain():
    grid = grid_of((8, 8, 8), (1, 1, 1))
    volume = Volume(ramp_on(grid), grid, "MR")
    aligned = align([volume, volume], reference=np.int64(1), spacing=np.float32(2))
    assert json.loads(json.dumps(aligned.story))["plan"]["spacing"] == 2


@pytest.mark.parametrize("spacing", [0, -1, (1, 2), "fine", float("nan")])
def test_a_spacing_that_cannot_be_names_itself(spacing):
    volume = Volume(np.ones((2, 2, 2)), grid_of((2, 2, 2), (1, 1, 1)), "MR")
    with pytest.raises(GeometryError, match="Spacing: found") as caught:
        common_grid([volume], 0, spacing)
    assert str(spacing) in str(caught.value)


def test_a_region_keeps_the_voxels_inside_it_and_changes_none_of_them():
    volumes = [head_phantom(modality, shape=(6, 40, 36), spacing=(5, 5, 20)) for modality in ("CT", "PET")]
    whole, grid = align(volumes), volumes[0].grid
    first, last = (1, 10, 5), (4, 30, 28)
    ends = [(grid.affine @ (*corner[::-1], 1))[:3] for corner in (first, last)]
    margin = 0.4 * np.array(grid.spacing) * np.sign(ends[1] - ends[0])
    part = align(volumes, region=[(ends[1] + margin).tolist(), (ends[0] - margin).tolist()])
    here = tuple(slice(start, stop + 1) for start, stop in zip(first, last, strict=True))
    assert part.grid.shape == (4, 21, 24)
    np.testing.assert_allclose(part.grid.affine[:3, 3], ends[0], atol=1e-9)
    for ours, theirs in zip(part.volumes, whole.volumes, strict=True):
        # One interpolation at the same places; only where the box begins is rounded differently.
        np.testing.assert_allclose(ours.array, theirs.array[here], atol=1e-6)
    assert part.windows == whole.windows
    assert np.shape(part.story["plan"]["region"]) == (2, 3)


@pytest.mark.parametrize("region", [[(0, 0, 1000), (1, 1, 1001)], [(0, 0, 0)], [(0, 0, 0), (np.nan, 1, 1)]])
def test_a_region_that_holds_nothing_is_told(region):
    volumes = [head_phantom(modality, shape=(6, 40, 36), spacing=(5, 5, 20)) for modality in ("CT", "PET")]
    with pytest.raises(GeometryError, match="Region"):
        align(volumes, region=region)


@pytest.mark.parametrize("reference", [-1, 2, 9])
def test_a_reference_that_is_not_there_names_its_number(reference):
    volume = Volume(np.ones((2, 2, 2)), grid_of((2, 2, 2), (1, 1, 1)), "MR")
    with pytest.raises(GeometryError, match=f"number {reference + 1}.*1 to 2"):
        common_grid([volume, volume], reference)


def test_volumes_without_common_space_are_an_error_with_both_boxes():
    near = Volume(np.eye(8)[None].repeat(8, 0), grid_of((8, 8, 8), (1, 1, 1)), "MR", "near")
    far = Volume(near.array, grid_of((8, 8, 8), (1, 1, 1), (0, 0, 500)), "PET", "far")
    with pytest.raises(NoOverlapError, match=r"far on the grid of near.*S 500\.\.507.*S 0\.\.7.*register"):
        align([near, far])


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_volumes_are_an_error(count):
    volume = Volume(np.eye(4)[None], grid_of((1, 4, 4), (1, 1, 1)), "MR")
    with pytest.raises(GeometryError, match=f"found {count}; accepted: 2 or more"):
        align([volume] * count)


def test_an_unknown_color_table_is_named_before_any_work():
    volume = Volume(np.eye(4)[None], grid_of((1, 4, 4), (1, 1, 1)), "MR")
    with pytest.raises(UnknownNameError, match=r"'pet-heet'.*pet-heat"):
        align([volume, volume], color="pet-heet")


def test_the_number_of_windows_must_be_that_of_the_volumes():
    volume = Volume(np.eye(4)[None], grid_of((1, 4, 4), (1, 1, 1)), "MR")
    with pytest.raises(GeometryError, match="found 1; accepted: one for each of 2"):
        align([volume, volume], windows=[(0, 1)])


def volume_with(values, modality, unit="a.u."):
    array = np.asarray(values, np.float32).reshape(1, 1, -1)
    return Volume(array, grid_of(array.shape, (1, 1, 1)), modality, "x", unit)


def test_ct_in_hu_takes_the_ct_window_whatever_its_values():
    assert window_of(volume_with([-3024, -1000, 40, 3071], "CT", "HU")) == CT_WINDOW


@pytest.mark.parametrize("brightest", [40, 127, 129, 255])
def test_pictures_are_divided_by_255_however_dark(brightest):
    assert window_of(volume_with(np.arange(brightest + 1), "MR", "levels")) == Window(0, 255, "levels")


def test_counts_that_look_like_a_picture_are_none():
    assert window_of(volume_with(np.arange(200), "SPECT", "counts")).high < 200


@pytest.mark.parametrize(
    ("array", "modality", "unit"),
    [
        (np.zeros((1, 4, 4), np.uint8), "CT", "levels"),
        (np.zeros((3, 4, 4), np.uint8), "CT", "a.u."),
        (np.zeros((3, 4, 4, 3), np.uint8), "PET", "levels"),
        (np.full((3, 4, 4), -5, np.int16), "CT", "HU"),
        (np.array([[[np.nan, -5.0]]]), "CT", "HU"),
        (np.full((3, 4, 4), -5, np.int16), "MR", "a.u."),
    ],
)
def test_the_unit_of_voxels_that_come_without_one(array, modality, unit):
    assert unit_of(array, modality) == unit


def test_uptake_starts_at_zero_and_outliers_do_not_set_the_top():
    air = np.abs(np.random.default_rng(0).normal(0, 0.05, 50000))
    values = np.r_[air, np.linspace(1, 11, 1000), 900.0]
    window = window_of(volume_with(values, "PET", "SUV"))
    assert window.low == 0
    # The 99.5th percentile of 1000 values from 1 to 11 and one outlier; the air around is not counted.
    assert window.high == pytest.approx(10.96, abs=0.02)
    assert window.unit == "SUV"


def test_mr_starts_at_its_darkest_half_percent():
    values = np.r_[np.linspace(100, 1100, 10001), 9000.0]
    window = window_of(volume_with(values, "MR"))
    assert window.low == pytest.approx(105, abs=0.5)
    assert window.high == pytest.approx(1095, abs=1)


def test_a_chosen_window_goes_before_all():
    assert window_of(volume_with([0, 5], "CT", "HU"), (0, 80)) == Window(0, 80, "HU")


@pytest.mark.parametrize("bad", [(5, 5), (9, 1), (0, float("nan"))])
def test_a_window_out_of_order_is_named(bad):
    with pytest.raises(DataError, match=f"Intensity window: found {bad[0]} to {bad[1]}"):
        window_of(volume_with([0, 5], "MR"), bad)


@pytest.mark.parametrize("bad", [(1,), (1, 2, 3), 7, ("a", "b")])
def test_a_window_that_is_not_two_numbers_is_named(bad):
    with pytest.raises(DataError, match="two numbers, low and high"):
        window_of(volume_with([0, 5], "MR"), bad)


@pytest.mark.parametrize("value", [0.0, 7.0])
@pytest.mark.parametrize("modality", ["MR", "PET", "OTHER"])
def test_a_constant_image_is_an_error_with_its_value(value, modality):
    if modality == "PET" and value > 0:
        assert window_of(volume_with([value] * 9, modality)).high == value  # uptake everywhere is an image
        return
    with pytest.raises(DataError, match=f"values from {value:g} to {value:g}"):
        window_of(volume_with([value] * 9, modality))


def test_windows_map_to_units_and_back():
    window = Window(-450, 1050, "HU")
    values = np.array([-450.0, 0, 300, 1050])
    np.testing.assert_allclose(window.invert(window.apply(values)), values, atol=1e-3)
    np.testing.assert_array_equal(window.apply(np.array([-1000, 3000, np.nan])), [0, 1, 0])


def test_negative_hu_and_64_bit_values_come_through():
    grid = grid_of((8, 8, 8), (1, 1, 1))
    hu = np.linspace(-1000, 2000, 512).reshape(8, 8, 8)
    mr = np.linspace(0, 2**40, 512, dtype=np.int64).reshape(8, 8, 8)
    aligned = align([Volume(hu, grid, "CT", unit="HU"), Volume(mr, grid, "MR")])
    np.testing.assert_allclose(aligned.volumes[0].array, np.clip((hu + 450) / 1500, 0, 1), atol=1e-6)
    assert aligned.volumes[1].array.max() == 1


def test_the_foreground_is_the_union_closed_but_not_grown():
    a, b = np.zeros((1, 40, 40), np.float32), np.zeros((1, 40, 40), np.float32)
    a[0, 5:15, 5:15] = 0.5
    a[0, 9, 9] = 0  # a hole
    b[0, 20:30, 20:30] = 0.5
    b[0, 35, 35] = 2 / 255  # below the noise floor
    fields = np.ones((2, 1, 40, 40), bool)
    expected = np.zeros((1, 40, 40), bool)
    expected[0, 5:15, 5:15] = expected[0, 20:30, 20:30] = True
    np.testing.assert_array_equal(foreground([a, b], fields), expected)


def test_noise_in_the_air_is_no_foreground():
    rng = np.random.default_rng(0)
    head = np.zeros((40, 40, 40), bool)
    head[10:30, 10:30, 10:30] = True
    noisy = np.hypot(0.5 * head + rng.normal(0, 0.015, head.shape), rng.normal(0, 0.015, head.shape))
    mask = foreground([noisy.astype(np.float32)], np.ones((1, *head.shape), bool))
    # One noise voxel in 450 stands out; closing by five joins a few neighbors to each at most.
    assert mask[head].all()
    assert mask[~head].mean() < 0.02


def test_dark_tissue_on_black_is_foreground():
    # Exact zeros around are no noise that could hide it.
    array = np.zeros((20, 20, 20), np.float32)
    array[5:15, 5:15, 5:15] = 0.02
    array[6:14, 6:14, 6:14] = 0.7
    assert foreground([array], np.ones((1, 20, 20, 20), bool)).sum() == 1000


def test_the_foreground_ignores_values_outside_the_field_of_view():
    a = np.full((1, 9, 9), 0.5, np.float32)
    fields = np.zeros((1, 1, 9, 9), bool)
    fields[..., :4] = True
    assert foreground([a], fields)[0, 0].tolist() == [True] * 4 + [False] * 5


def test_the_foreground_may_touch_the_edge_of_the_image():
    full = np.full((6, 6, 6), 0.5, np.float32)
    assert foreground([full], np.ones((1, 6, 6, 6), bool)).all()


def test_sources_stay_as_they_are():
    grid = grid_of((12, 12, 12), (1, 1, 1))
    arrays = [ramp_on(grid), ramp_on(grid, (1, 2, 3))]
    arrays[1][3, 3, 3] = np.nan
    copies = [array.copy() for array in arrays]
    align([Volume(arrays[0], grid, "MR"), Volume(arrays[1], grid, "PET")], spacing=0.7, color="pet-heat")
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert array.flags.writeable


def test_the_story_says_what_was_done_to_each_source():
    grid = grid_of((8, 8, 8), (1, 1, 1))
    ct = Volume(np.linspace(-1000, 1050, 512).reshape(8, 8, 8), grid, "CT", "head", "HU")
    aligned = align([ct, Volume(np.linspace(0, 9, 512).reshape(8, 8, 8), grid, "MR")])
    source = aligned.story["sources"][0]
    assert source["name"] == "head"
    assert source["sha256"] == ct.sha256
    assert source["window"] == [-450, 1050]
    # 550 of 2050 HU lie below the window.
    assert source["clipped_share"] == pytest.approx(550 / 2050, abs=0.005)
    assert source["field_of_view_share"] == 1


def test_outside_its_field_of_view_a_source_is_black():
    # Air is not 0 HU: without this a CT's surroundings would be gray.
    grid, small = grid_of((12, 12, 12), (1, 1, 1)), grid_of((6, 12, 12), (1, 1, 1))
    ct = Volume(np.linspace(0, 900, 6 * 144).reshape(small.shape), small, "CT", unit="HU")
    aligned = align([Volume(ramp_on(grid), grid, "MR"), ct])
    assert (aligned.volumes[1].array[6:] == 0).all()
    assert (aligned.volumes[1].array[:6] > 0).all()


def test_one_slice_and_one_volume_meet_in_the_slice():
    volume = Volume(ramp_on(grid_of((20, 20, 20), (1, 1, 1))), grid_of((20, 20, 20), (1, 1, 1)), "MR")
    slice_grid = grid_of((1, 16, 16), (1, 1, 1), (2, 2, 7))
    aligned = align([Volume(ramp_on(slice_grid), slice_grid, "MR"), volume])
    np.testing.assert_allclose(aligned.windows[1].invert(aligned.volumes[1].array), ramp_on(slice_grid), rtol=1e-3)
