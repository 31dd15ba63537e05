"""Pairs that are registered are left in peace, pairs that are not are told: on the phantom and on real patients."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from MedFusionLib.harmonize import align
from MedFusionLib.load import load_volume
from MedFusionLib.phantom import head_phantom
from MedFusionLib.volume import Grid, Volume

PATIENTS = ("STS_001", "STS_003", "STS_010", "STS_015", "STS_028", "STS_033", "STS_047")


def moved(volume, shift):
    affine = volume.grid.affine.copy()
    affine[:3, 3] += shift
    return Volume(volume.array, Grid(volume.grid.shape, affine), volume.modality, "moved", volume.unit)


def notes(*volumes):
    return align(volumes).story["notes"]


@pytest.fixture(scope="module")
def heads():
    return {m: head_phantom(m, shape=(48, 64, 56), spacing=(3.5, 3.5, 3.5)) for m in ("CT", "MR", "PET", "SPECT")}


@pytest.mark.parametrize(("one", "other"), list(combinations(("CT", "MR", "PET", "SPECT"), 2)))
def test_the_phantom_is_registered_and_moved_by_20_mm_it_is_not(one, other, heads):
    assert notes(heads[one], heads[other]) == []
    told = notes(heads[one], moved(heads[other], (0, 20, 0)))
    assert len(told) == 1
    assert "moved looks unregistered" in told[0]


@pytest.mark.parametrize("patient", PATIENTS)
def test_registered_patients_are_left_in_peace(patient, shared_data):
    folder = shared_data / "volumes" / "sts_triplets" / patient
    volumes = [
        load_volume(folder / "CT_image.nii.gz", "CT"),
        load_volume(folder / "MR_T1_image.nii.gz", "MR"),
        load_volume(folder / "PET_image.nii.gz", "PET"),
    ]
    assert notes(*volumes) == []


@pytest.mark.parametrize("patient", ["STS_015", "STS_047"])
def test_a_patient_moved_by_15_mm_is_told_and_about_how_far(patient, shared_data):
    folder = shared_data / "volumes" / "sts_triplets" / patient
    ct = load_volume(folder / "CT_image.nii.gz", "CT")
    mr = moved(load_volume(folder / "MR_T1_image.nii.gz", "MR"), (0, 0, 15))
    (told,) = notes(ct, mr)
    assert 11 <= float(told.split("moved by ")[1].split()[0]) <= 19


def test_images_of_noise_alone_are_not_called_unregistered():
    grid = Grid((20, 20, 20), np.eye(4))
    rng = np.random.default_rng(0)
    assert notes(*(Volume(rng.random(grid.shape), grid, "MR", f"noise {n}") for n in range(2))) == []
