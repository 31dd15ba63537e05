"""The records: checked when built, and nobody can change another's data."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from MedFusionLib.errors import DataError, GeometryError, ModalityError
from MedFusionLib.volume import Aligned, Fused, Grid, Volume, Window, modality_named

SHAPE = (2, 3, 4)


def grid(shape=SHAPE, spacing=(2, 3, 4), origin=(10, 20, 30)) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape, affine)


def volume(array=None, modality="MR", **fields) -> Volume:
    array = np.linspace(0, 1, 24).reshape(SHAPE) if array is None else np.asarray(array)
    return Volume(array, grid(array.shape[:3]), modality, **fields)


def aligned(volumes=None, **changes) -> Aligned:
    volumes = volumes or (volume(), volume(modality="PET"))
    fields = {
        "windows": (Window(0, 1),) * len(volumes),
        "fields": np.ones((len(volumes), *SHAPE), bool),
        "mask": np.ones(SHAPE, bool),
    }
    return Aligned(volumes, **(fields | changes))


# Modality


@pytest.mark.parametrize(
    ("given", "standard"), [("ct", "CT"), ("MRI", "MR"), ("PT", "PET"), ("nm", "SPECT"), ("ST", "SPECT")]
)
def test_synonyms_of_modalities_are_understood_in_any_case(given, standard):
    assert modality_named(given) == standard


def test_unknown_modality_is_named_with_what_is_accepted():
    with pytest.raises(ModalityError, match="'US'; accepted: CT, MR, PET, SPECT, OTHER"):
        modality_named("US")


# Grid


def test_grid_tells_spacing_corners_and_axes():
    turned = Grid(SHAPE, [[0, 0, 4, 10], [2, 0, 0, 20], [0, -3, 0, 30], [0, 0, 0, 1]])

    assert turned.spacing == (2, 3, 4)
    assert turned.directions.tolist() == [[0, 0, 1], [1, 0, 0], [0, -1, 0]]
    assert sorted(map(tuple, turned.corners)) == [(x, y, z) for x in (10, 14) for y in (20, 26) for z in (24, 30)]
    assert [turned.axis_along(direction) for direction in range(3)] == [0, 2, 1]
    assert turned.is_rectangular


def test_every_direction_has_its_own_axis_even_at_45_degrees():
    half = np.sqrt(0.5)
    oblique = Grid(SHAPE, [[half, -half, 0, 0], [half, half, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])

    assert sorted(oblique.axis_along(direction) for direction in range(3)) == [0, 1, 2]


@pytest.mark.parametrize(("shear", "rectangular"), [(0, True), (1e-5, True), (1e-3, False), (0.25, False)])
def test_shear_is_told_from_rounding(shear, rectangular):
    affine = np.eye(4)
    affine[0, 2] = shear

    assert Grid(SHAPE, affine).is_rectangular == rectangular


def test_grids_are_the_same_when_their_corners_are_within_a_micron():
    assert grid().same_as(grid(origin=(10, 20, 30.0009)))
    assert not grid().same_as(grid(origin=(10, 20, 30.0011)))
    assert not grid().same_as(grid((3, 3, 4)))


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 4), (1, 2, 3, 4), (2, -1, 2)])
def test_shape_that_is_not_three_positive_numbers_is_refused(shape):
    with pytest.raises(GeometryError, match="shape"):
        Grid(shape, np.eye(4))


@pytest.mark.parametrize(
    "affine",
    [np.eye(3), np.full((4, 4), np.nan), np.diag([1, 1, 1, 2]), np.diag([1, 0, 1, 1]), np.ones((4, 4)) - np.eye(4)],
    ids=["3 x 3", "nan", "last row", "no step", "last row of ones"],
)
def test_affine_that_spans_no_space_is_refused(affine):
    with pytest.raises(GeometryError, match="affine"):
        Grid(SHAPE, affine)


def test_parallel_axes_are_refused_however_small_the_voxels():
    flat = np.diag([1e-3, 1e-3, 1e-3, 1])
    assert Grid(SHAPE, flat).spacing == (1e-3, 1e-3, 1e-3)

    flat[:3, 1] = flat[:3, 0]
    with pytest.raises(GeometryError, match="span space"):
        Grid(SHAPE, flat)


# Volume


@pytest.mark.parametrize("kind", ["u1", "i2", "i8", "f2", "f8", ">f4", "?"])
def test_voxels_of_every_real_type_become_native_float32(kind):
    made = volume(np.ones(SHAPE, kind))

    assert made.array.dtype == np.dtype("f4")
    assert made.array.dtype.isnative


def test_color_stays_8_bit_and_knows_what_it_is():
    color = volume(np.zeros((*SHAPE, 3), np.uint8), "PET")

    assert (color.is_color, color.is_functional, color.array.dtype) == (True, True, np.uint8)
    assert (volume().is_color, volume().is_functional) == (False, False)


@pytest.mark.parametrize(
    "array", [np.zeros(SHAPE, complex), np.zeros((*SHAPE, 3)), np.zeros((*SHAPE, 4), np.uint8), np.zeros((2, 3, 4, 5))]
)
def test_voxels_of_another_kind_are_refused_with_shape_and_type(array):
    with pytest.raises(DataError, match=rf"{array.dtype}"):
        Volume(array, grid(), "MR")


def test_voxels_that_do_not_fit_the_grid_are_refused():
    with pytest.raises(GeometryError, match=r"\(2, 3, 5\); accepted: the grid's \(2, 3, 4\)"):
        Volume(np.zeros((2, 3, 5)), grid(), "MR")


def test_nan_is_allowed_but_not_everywhere():
    array = np.full(SHAPE, np.nan)
    with pytest.raises(DataError, match="no finite value"):
        volume(array)
    array[0, 0, 0] = 1
    assert volume(array).array[0, 0, 0] == 1


def test_volume_is_frozen_and_leaves_the_users_array_as_it_was():
    array = np.zeros(SHAPE, np.float32)
    made = volume(array)

    with pytest.raises(ValueError, match="read-only"):
        made.array[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        made.grid.affine[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        made.name = "x"  # type: ignore[misc]
    array[0, 0, 0] = 1  # still the user's to write


def test_digest_depends_on_voxels_and_place_and_on_no_name():
    digests = {
        volume(name="a").sha256,
        volume(name="b", modality="CT").sha256,
        volume(np.zeros(SHAPE)).sha256,
        Volume(volume().array, grid(origin=(0, 0, 0)), "MR").sha256,
    }

    assert len(digests) == 3
    assert all(len(digest) == 64 for digest in digests)


def test_with_array_keeps_the_rest_and_changes_what_is_named():
    changed = volume(name="a", unit="HU").with_array(np.ones(SHAPE), unit="a.u.")

    assert (changed.name, changed.unit, changed.modality, changed.array.mean()) == ("a", "a.u.", "MR", 1)


# Window


def test_window_maps_its_ends_to_0_and_1_clips_and_comes_back():
    window = Window(-100, 300, "HU")

    mapped = window.apply(np.array([-1000, -100, 0, 300, 1000, np.nan, np.inf, -np.inf]))

    assert mapped.tolist() == [0, 0, 0.25, 1, 1, 0, 1, 0]
    assert mapped.dtype == np.float32
    assert window.invert(mapped[1:4]).tolist() == [-100, 0, 300]


def test_window_leaves_its_input_alone():
    values = np.array([5.0, np.nan], np.float32)
    Window(0, 1).apply(values)

    assert values[0] == 5
    assert np.isnan(values[1])


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (np.nan, 1), (0, np.inf)])
def test_window_without_width_is_refused(low, high):
    with pytest.raises(DataError, match=r"a.u."):
        Window(low, high)


# Aligned, Fused


def test_aligned_tells_grid_and_modalities_and_is_read_only():
    made = aligned(chroma=np.zeros((*SHAPE, 2), np.float32))

    assert made.grid.same_as(grid())
    assert made.modalities == ("MR", "PET")
    for array in (made.fields, made.mask, made.chroma):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_aligned_needs_two_volumes_and_a_window_for_each():
    with pytest.raises(GeometryError, match="1 volumes"):
        aligned((volume(),))
    with pytest.raises(GeometryError, match="2 volumes, 1 windows"):
        aligned(windows=(Window(0, 1),))


def test_aligned_volumes_share_one_grid():
    moved = Volume(volume().array, grid(origin=(0, 0, 0)), "PET", "moved")

    with pytest.raises(GeometryError, match="Grid of moved"):
        aligned((volume(), moved))


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_aligned_values_stay_in_0_to_1(value):
    array = np.zeros(SHAPE)
    array[1, 1, 1] = value

    with pytest.raises(DataError, match=r"Values of odd.*align"):
        aligned((volume(), volume(array, name="odd")))


def test_aligned_volumes_are_scalar():
    with pytest.raises(DataError, match="found color"):
        aligned((volume(), volume(np.zeros((*SHAPE, 3), np.uint8))))


@pytest.mark.parametrize(("name", "shape"), [("fields", SHAPE), ("mask", (2, 3, 5)), ("chroma", (*SHAPE, 3))])
def test_aligned_parts_fit_the_grid(name, shape):
    with pytest.raises(GeometryError, match=f"Aligned {name}"):
        aligned(**{name: np.zeros(shape)})


def test_fused_shows_its_color_where_there_is_one():
    color = volume(np.zeros((*SHAPE, 3), np.uint8))

    assert Fused(volume(), color, {}).shown is color
    assert not Fused(volume(), None, {}).shown.is_color
