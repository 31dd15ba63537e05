"""The phantom: known values at known places, lesions in one modality each, the same head on every grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from MedFusionLib.errors import GeometryError, ModalityError, ParameterError
from MedFusionLib.phantom import LABELS, MODALITIES, PHYSICS, head_labels, head_phantom, offset_matrix
from MedFusionLib.volume import Grid

PLACES = {  # RAS mm, well inside each tissue
    "background": (0, 0, 95),
    "fat": (0, 0, 72),
    "bone": (0, 0, 68.5),
    "white": (3, -4, 16.5),
    "ventricle": (6.5, 4, 9),
    "putamen": (27, 5, -5),
    "thalamus": (10.5, -9, -3),
    "eye": (31, 66, -37),
    "sinus": (31, 50, -72),
    "lesion_CT": (-26, 42, 2),
    "lesion_MR": (26, 40, 2),
    "lesion_PET": (34, -40, 2),
    "lesion_SPECT": (-34, -40, 2),
}
NARROWER = 0.0014  # the head narrows by this share for each mm to the front


def box(center=(0, 0, 0), shape=(1, 1, 1), spacing=(0.5, 0.5, 0.5), turned=None) -> Grid:
    """A grid around a place, its axes turned by an offset."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    place = np.eye(4)
    place[:3, 3] = center
    return Grid(shape, place @ offset_matrix(turned) @ affine)


def at(tissue: str) -> tuple[float, float, float]:
    r, a, s = PLACES[tissue]
    return r * (1 - NARROWER * a), a, s


def centroid(labels: np.ndarray, grid: Grid, tissue: str) -> np.ndarray:
    k, j, i = np.argwhere(labels == LABELS[tissue]).mean(0)
    return (grid.affine @ (i, j, k, 1))[:3]


@pytest.mark.parametrize("tissue", PLACES)
def test_a_tissue_lies_at_its_place(tissue):
    assert head_labels(box(at(tissue))).item() == LABELS[tissue]


@pytest.mark.parametrize(
    ("modality", "unit", "expected"),
    [
        ("CT", "HU", {"background": -1000, "fat": -90, "bone": 1300, "white": 28, "ventricle": 8, "thalamus": 37}),
        ("MR", "a.u.", {"background": 0, "fat": 900, "white": 700, "ventricle": 140, "thalamus": 580}),
        ("PET", "SUV", {"background": 0, "white": 2, "thalamus": 8, "sinus": 0}),
        ("SPECT", "counts", {"background": 0, "white": 30, "thalamus": 102, "sinus": 0}),
    ],
)
def test_values_are_those_of_the_modality(modality, unit, expected):
    volumes = {t: head_phantom(modality, noise=0, blur=False, grid=box(at(t))) for t in expected}
    assert {t: volume.array.item() for t, volume in volumes.items()} == expected
    assert {volume.unit for volume in volumes.values()} == {unit}


def test_every_label_has_a_value_in_every_modality():
    assert all(len(physics.values) == LABELS["lesion_CT"] for physics in PHYSICS.values())


def test_gray_takes_up_four_times_as_much_as_white_in_pet():
    values = PHYSICS["PET"].values
    assert values[LABELS["gray"]] == 4 * values[LABELS["white"]]


@pytest.fixture(scope="module")
def lesion_slab():
    grid = box((0, 0, 2), shape=(20, 90, 66), spacing=(1.5, 1.5, 1.5))
    return grid, head_labels(grid)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_lesion_shows_in_its_own_modality_only(modality, lesion_slab):
    grid, labels = lesion_slab
    image = head_phantom(modality, noise=0, grid=grid).array
    contrast = {}
    for name in MODALITIES:
        core = labels == LABELS[f"lesion_{name}"]
        away = distance_transform_edt(~core) * 1.5
        shell = (away > 0) & (away <= 3)
        assert set(labels[shell]) == {LABELS["white"]}
        contrast[name] = abs(image[core].mean() - image[shell].mean())
    own = contrast.pop(modality)
    table = PHYSICS[modality].values
    # The strongest anatomical step in the brain is gray to white; the lesion of MR and PET reaches half of it or more
    # after the blur, that of SPECT (10 mm) a quarter.
    assert own > 0.25 * abs(table[LABELS["gray"]] - table[LABELS["white"]])
    # What is left in the others is spill-in from the cortex, 3 mm and more away: widest for SPECT.
    assert max(contrast.values()) < {"CT": 0.01, "MR": 0.01, "PET": 0.2, "SPECT": 0.2}[modality] * own


def test_every_finer_or_flipped_grid_samples_the_same_head():
    coarse = box((10, -5, 0), shape=(20, 24, 22), spacing=(8, 8, 8))
    fine = Grid((39, 47, 43), coarse.affine @ np.diag([0.5, 0.5, 0.5, 1]))
    flip = np.array([[0, 0, -1, 21], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    flipped = Grid((22, 24, 20), coarse.affine @ flip)
    labels = head_labels(coarse)
    # float32 rounding may turn a voxel that lies on a surface: less than one in a thousand.
    assert np.mean(head_labels(fine)[::2, ::2, ::2] != labels) < 1e-3
    assert np.mean(head_labels(flipped)[::-1].transpose(2, 1, 0) != labels) < 1e-3


@pytest.mark.parametrize("tissue", ["thalamus", "eye", "lesion_PET"])
def test_an_oblique_grid_finds_tissues_in_the_same_place(tissue):
    straight = box((0, 0, -10), shape=(70, 110, 90), spacing=(2, 2, 2))
    oblique = box((0, 0, -10), shape=(90, 110, 110), spacing=(2, 2, 2), turned=(20, -10, 35, 0, 0, 0))
    expected = centroid(head_labels(straight), straight, tissue)
    # 100 voxels and more of 2 mm: the centroid of a volume sampled so is good to a tenth of a voxel or better.
    assert centroid(head_labels(oblique), oblique, tissue) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("tissue", ["lesion_PET", "lesion_SPECT", "lesion_MR", "lesion_CT"])
def test_an_offset_moves_the_head_by_its_matrix(tissue):
    offset = (8, -5, 12, 6, -4, 9)
    rest, moved = at(tissue), offset_matrix(offset)
    before = box(rest, shape=(26, 26, 26), spacing=(0.8, 0.8, 0.8))
    after = box((moved @ (*rest, 1))[:3], shape=(26, 26, 26), spacing=(0.8, 0.8, 0.8))
    labels = head_labels(before), head_labels(after, offset)
    expected = moved @ (*centroid(labels[0], before, tissue), 1)
    # 200 voxels and more of 0.8 mm.
    assert centroid(labels[1], after, tissue) == pytest.approx(expected[:3], abs=0.1)


def test_the_volume_moves_as_its_labels_do():
    grid, offset = box((0, 0, 2), shape=(30, 60, 60), spacing=(2, 2, 2)), (0, 0, 15, 3, 2, 0)
    image = head_phantom("PET", grid=grid, offset=offset, noise=0).array
    hottest = np.unravel_index(np.argmax(image), image.shape)
    assert head_labels(grid, offset)[hottest] == LABELS["lesion_PET"]


def test_an_offset_turns_about_r_first_and_s_last_and_then_shifts():
    assert offset_matrix((0, 0, 90, 0, 0, 0)) @ (1, 0, 0, 1) == pytest.approx((0, 1, 0, 1))
    assert offset_matrix((90, 0, 90, 1, 2, 3)) @ (0, 0, 1, 1) == pytest.approx((2, 2, 3, 1))
    assert offset_matrix(None) == pytest.approx(np.eye(4))


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_same_seed_gives_the_same_voxels(modality):
    def made(seed):
        return head_phantom(modality, shape=(10, 16, 14), seed=seed).array

    assert np.array_equal(made(3), made(3))
    assert not np.array_equal(made(3), made(4))


def test_without_noise_the_seed_is_of_no_effect():
    first, second = (head_phantom("MR", shape=(8, 12, 10), noise=0, seed=seed).array for seed in (0, 1))
    assert np.array_equal(first, second)


def test_noise_of_ct_is_normal_and_scales():
    grid = box((0, 0, 0), shape=(30, 30, 30), spacing=(1, 1, 1))
    clean = head_phantom("CT", grid=grid, noise=0, blur=False).array
    for scale in (1, 3):
        residual = head_phantom("CT", grid=grid, noise=scale, blur=False).array - clean
        # 27 000 samples: the standard deviation is known to 0.4 %.
        assert residual.std() == pytest.approx(7 * scale, rel=0.02)


def test_noise_of_mr_is_rician():
    air = head_phantom("MR", grid=box((0, 0, 150), shape=(30, 30, 30), spacing=(1, 1, 1)), blur=False).array
    # Rician without signal is Rayleigh: mean / std = sqrt(pi / (4 - pi)).
    assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.02)


@pytest.mark.parametrize(("modality", "gain"), [("PET", 0.25), ("SPECT", 2.25)])
def test_noise_of_emission_grows_with_the_signal(modality, gain):
    grid = box((0, 0, 0), shape=(40, 60, 60), spacing=(2, 2, 2))
    clean = head_phantom(modality, grid=grid, noise=0, blur=False).array
    noisy = head_phantom(modality, grid=grid, blur=False).array
    values = np.array(PHYSICS[modality].values)[[LABELS["white"], LABELS["gray"]]]
    for value in values:
        residual = (noisy - clean)[np.isclose(clean, value)]
        # 2 000 samples and more: the variance is known to 3 %.
        assert residual.var() / value == pytest.approx(gain, rel=0.12)


def test_mr_is_shaded_mildly_unless_noise_is_off():
    grid = box((0, 0, 0), shape=(20, 40, 40), spacing=(4, 4, 4))
    clean, noisy = (head_phantom("MR", grid=grid, noise=noise).array for noise in (0, 1))
    bright = clean > 600
    ratio = noisy[bright] / clean[bright]
    # Shading of at most 8 % either way, noise of 16 in 600 and more: 3 %.
    assert np.percentile(ratio, 99) < 1.08 + 0.08
    assert np.percentile(ratio, 90) - np.percentile(ratio, 10) > 0.06


@pytest.mark.parametrize(("modality", "fwhm"), [("CT", 0.8), ("MR", 1.0), ("PET", 6.0), ("SPECT", 10.0)])
def test_blur_has_the_width_of_the_scanner(modality, fwhm):
    grid = box((0, 0, 60), shape=(1, 1, 1200), spacing=(0.25, 30, 30))
    place = (np.arange(1200) - 599.5) * 0.25

    def spread(blur):
        profile = head_phantom(modality, grid=grid, noise=0, blur=blur).array[0, 0].astype(float)
        weight = profile - profile[0]
        mean = np.average(place, weights=weight)
        return np.average((place - mean) ** 2, weights=weight)

    # A blur adds its variance to that of any profile; CT and MR are blurred by 2 to 4 samples, cut off at 4 sigma.
    measured = np.sqrt(8 * np.log(2) * (spread(True) - spread(False)))
    assert measured == pytest.approx(fwhm, rel=0.04)


@pytest.mark.parametrize("modality", MODALITIES)
def test_default_grids_hold_the_whole_head_above_the_neck(modality):
    volume = head_phantom(modality, noise=0)
    labels = head_labels(volume.grid)
    assert not any(labels[face].any() for face in (np.s_[-1], np.s_[:, 0], np.s_[:, -1], np.s_[..., 0], np.s_[..., -1]))
    assert all((labels == value).any() for name, value in LABELS.items() if name.startswith("lesion"))
    assert volume.grid.directions == pytest.approx(np.diag([-1, -1, 1]))


def test_default_grids_differ_between_modalities():
    assert len({physics.spacing for physics in PHYSICS.values()}) == len(MODALITIES)


def test_shape_or_spacing_alone_keep_the_field_of_view():
    by_shape = head_phantom("CT", shape=(9, 12, 10)).grid
    by_spacing = head_phantom("CT", spacing=(20, 20, 20)).grid
    assert by_shape.spacing == pytest.approx((20, 20, 20))
    assert by_shape.same_as(by_spacing)


def test_a_single_slice_keeps_its_thickness_and_lies_at_the_center():
    grid = head_phantom("CT", shape=(1, 24, 20)).grid
    assert grid.spacing == pytest.approx((10, 10, 2))
    assert grid.affine[2, 3] == 0


def test_synonyms_of_modalities_are_understood():
    assert head_phantom("pt", shape=(4, 4, 4)).modality == "PET"


@pytest.mark.parametrize(
    ("choices", "error", "message"),
    [
        ({"modality": "US"}, ModalityError, "'US'"),
        ({"modality": "OTHER"}, ModalityError, "'OTHER'"),
        ({"shape": (0, 4, 4)}, GeometryError, r"\(0, 4, 4\)"),
        ({"shape": (4, 4)}, GeometryError, r"\(4, 4\)"),
        ({"spacing": (1, 1)}, GeometryError, r"\(1, 1\)"),
        ({"spacing": (1, -2, 1)}, GeometryError, "-2"),
        ({"spacing": (1, np.nan, 1)}, GeometryError, "nan"),
        ({"shape": (4, 4, 4), "grid": Grid((4, 4, 4), np.eye(4))}, GeometryError, "both a grid"),
        ({"offset": (1, 2, 3)}, ParameterError, r"\(1, 2, 3\)"),
        ({"offset": (0, 0, 0, 0, 0, np.inf)}, ParameterError, "inf"),
        ({"noise": -1}, ParameterError, "-1"),
        ({"noise": np.nan}, ParameterError, "nan"),
        ({"seed": -1}, ParameterError, "-1"),
        ({"seed": 0.5}, ParameterError, r"0\.5"),
    ],
)
def test_an_unusable_choice_is_an_error_that_names_it(choices, error, message):
    with pytest.raises(error, match=message):
        head_phantom(**{"modality": "CT", **choices})
