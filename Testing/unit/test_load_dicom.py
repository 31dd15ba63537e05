"""DICOM series: slices in their place, values in their unit, and no patient's name anywhere."""

from __future__ import annotations

import itertools
import logging
import random
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from MedFusionLib.errors import DataError, FileError, GeometryError, ModalityError, ParameterError
from MedFusionLib.load import load_volume

PATIENT = "DOE^SECRET"
STORAGE = {"CT": "2", "MR": "4", "PT": "128", "NM": "20", "OT": "7"}
COUNTER = itertools.count(1)


def image(modality="CT", frames=1, number=1, series="1.2.3", **tags) -> Dataset:
    """A DICOM image of 4 rows and 5 columns whose pixel (j, i) of frame f holds 100 f + 10 j + i."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{STORAGE.get(modality, '7')}"
    header.SOPInstanceUID = f"1.2.3.{next(COUNTER)}"
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.PatientName = header.PatientID = header.SeriesDescription = header.StudyDescription = PATIENT
    header.Modality, header.SeriesNumber, header.SeriesInstanceUID = modality, number, series
    header.Rows, header.Columns, header.SamplesPerPixel, header.PhotometricInterpretation = 4, 5, 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
    header.PixelSpacing = [3, 2]
    if frames > 1:
        header.NumberOfFrames = frames
    pixels = 100 * np.arange(frames)[:, None, None] + 10 * np.arange(4)[:, None] + np.arange(5)
    header.PixelData = pixels.astype("<u2").tobytes()
    for tag, value in tags.items():
        setattr(header, tag, value)
    return header


def series_at(heights, *, rows=(1, 0, 0, 0, 1, 0), step=(0, 0, 1), **tags) -> list[Dataset]:
    """One image at each height along the step; slice n has RescaleIntercept 1000 n."""
    return [
        image(
            ImagePositionPatient=list(np.array([10, 20, 30]) + height * np.array(step)),
            ImageOrientationPatient=list(rows),
            RescaleSlope=1,
            RescaleIntercept=1000 * n,
            InstanceNumber=n,
            **tags,
        )
        for n, height in enumerate(heights)
    ]


def stored(folder: Path, images: list[Dataset], seed=0) -> Path:
    """The folder with the images under shuffled names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"IM{next(COUNTER):05}" for _ in images]
    random.Random(seed).shuffle(names)
    for name, header in zip(names, images, strict=True):
        header.save_as(folder / name, enforce_file_format=True)
    return folder


# The stack


@pytest.mark.parametrize("heights", [[0, 5, 10, 15], [15, 10, 5, 0], [10, 0, 15, 5]])
def test_slices_are_sorted_by_place_whatever_their_name_and_number(tmp_path, heights):
    loaded = load_volume(stored(tmp_path, series_at(heights)))

    assert loaded.array[:, 1, 2].tolist() == [1000 * heights.index(h) + 12 for h in sorted(heights)]
    assert loaded.grid.affine.tolist() == [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 5, 30], [0, 0, 0, 1]]


def test_step_between_slices_comes_from_their_places_not_their_thickness(tmp_path):
    folder = stored(tmp_path, series_at([0, 2, 4], SliceThickness=3, SpacingBetweenSlices=7))

    assert load_volume(folder).grid.spacing == (2, 3, 2)


def test_slope_and_intercept_are_those_of_each_slice(tmp_path):
    images = series_at([0, 5, 10])
    for n, header in enumerate(images):
        header.RescaleSlope = 0.25 * (n + 1)

    loaded = load_volume(stored(tmp_path, images))

    assert loaded.array[:, 3, 4].tolist() == [34 * 0.25, 34 * 0.5 + 1000, 34 * 0.75 + 2000]


def test_gantry_tilt_stays_in_the_grid_as_shear(tmp_path):
    tilt = np.radians(14)
    folder = stored(tmp_path, series_at([0, 5, 10], rows=(1, 0, 0, 0, np.cos(tilt), -np.sin(tilt))))

    grid = load_volume(folder).grid

    assert not grid.is_rectangular
    assert grid.affine[:3, 2].tolist() == [0, 0, 5]
    # DICOM's decimal strings hold 16 characters.
    assert np.abs(grid.affine[:3, 1] - [0, -3 * np.cos(tilt), -3 * np.sin(tilt)]).max() < 1e-10


def test_gaps_that_differ_little_are_averaged(tmp_path):
    assert load_volume(stored(tmp_path, series_at([0, 3.27, 6.46, 9.73]))).grid.spacing[2] == pytest.approx(9.73 / 3)


def test_missing_slice_is_told_with_its_gap_and_place(tmp_path):
    with pytest.raises(GeometryError, match="usual gap 5 mm; unlike it: 10 mm at 35 mm"):
        load_volume(stored(tmp_path, series_at([0, 5, 15, 20, 25])))


def test_gap_that_changes_by_little_half_way_is_refused_once_slices_are_off_their_place(tmp_path):
    heights = np.cumsum([0, *[3.0] * 20, *[3.25] * 20])

    with pytest.raises(GeometryError, match=r"unlike it: none; largest drift 2.5 mm"):
        load_volume(stored(tmp_path, series_at(heights)))


def test_several_images_at_a_place_are_told_as_time_points(tmp_path):
    with pytest.raises(DataError, match="6 images at 3 positions: 2 time points"):
        load_volume(stored(tmp_path, series_at([0, 5, 10, 0, 5, 10])))


def test_slices_that_are_not_parallel_or_alike_are_refused(tmp_path):
    turned = series_at([10], rows=(0, 1, 0, 0, 0, 1))
    finer = series_at([10], PixelSpacing=[1, 1])
    larger = series_at([10], Rows=5, PixelData=bytes(50))
    with pytest.raises(GeometryError, match="2 orientations"):
        load_volume(stored(tmp_path / "turned", series_at([0, 5]) + turned))
    with pytest.raises(GeometryError, match="2 pixel sizes"):
        load_volume(stored(tmp_path / "finer", series_at([0, 5]) + finer))
    with pytest.raises(FileError, match=r"\(1, 5, 5\); accepted: \(1, 4, 5\)"):
        load_volume(stored(tmp_path / "larger", series_at([0, 5]) + larger))


def test_lone_slice_takes_its_thickness(tmp_path):
    assert load_volume(stored(tmp_path, series_at([0], SliceThickness=4))).grid.spacing == (2, 3, 4)


# Multi-frame


def nm_frames(**tags) -> Dataset:
    detector = Dataset()
    detector.ImagePositionPatient, detector.ImageOrientationPatient = [10, 20, 30], [1, 0, 0, 0, 1, 0]
    defaults = {
        "ImageType": ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"],
        "DetectorInformationSequence": Sequence([detector]),
        "SpacingBetweenSlices": 4,
    }
    return image("NM", 3, **(defaults | tags))


@pytest.mark.parametrize(("step", "order", "bottom"), [(4, [0, 100, 200], 30), (-4, [200, 100, 0], 22)])
def test_reconstructed_nm_frames_follow_the_first_along_the_normal(tmp_path, step, order, bottom):
    loaded = load_volume(stored(tmp_path, [nm_frames(SpacingBetweenSlices=step)]))

    assert (loaded.modality, loaded.unit, loaded.name) == ("SPECT", "counts", "SPECT series 1")
    assert loaded.array[:, 0, 0].tolist() == order
    assert loaded.grid.affine[:3, 3].tolist() == [-10, -20, bottom]
    assert loaded.grid.spacing == (2, 3, 4)


def test_gated_nm_is_told_as_time_points_and_projections_as_such(tmp_path):
    with pytest.raises(DataError, match="3 images at 1 positions: 3 time points"):
        load_volume(stored(tmp_path / "gated", [nm_frames(SliceVector=[1, 1, 1])]))
    with pytest.raises(DataError, match="Projections"):
        load_volume(stored(tmp_path / "tomo", [nm_frames(ImageType=["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"])]))


def enhanced(slopes=(2, 2, 2)) -> Dataset:
    def group(**macros) -> Dataset:
        outer = Dataset()
        for name, tags in macros.items():
            inner = Dataset()
            for tag, value in tags.items():
                setattr(inner, tag, value)
            setattr(outer, name, Sequence([inner]))
        return outer

    header = image("MR", 3, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1")
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    del header.PixelSpacing
    header.SharedFunctionalGroupsSequence = Sequence(
        [
            group(
                PixelMeasuresSequence={"PixelSpacing": [3, 2], "SliceThickness": 9},
                PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
            )
        ]
    )
    header.PerFrameFunctionalGroupsSequence = Sequence(
        [
            group(
                PlanePositionSequence={"ImagePositionPatient": [10, 20, 30 - 5 * n]},
                PixelValueTransformationSequence={"RescaleSlope": slope, "RescaleIntercept": 7, "RescaleType": "US"},
            )
            for n, slope in enumerate(slopes)
        ]
    )
    return header


def test_enhanced_multi_frame_is_sorted_and_rescaled(tmp_path):
    loaded = load_volume(stored(tmp_path, [enhanced()]))

    assert loaded.array[:, 1, 2].tolist() == [2 * 212 + 7, 2 * 112 + 7, 2 * 12 + 7]
    assert loaded.grid.affine.tolist() == [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 5, 20], [0, 0, 0, 1]]


def test_enhanced_multi_frame_with_a_slope_for_each_frame_is_refused(tmp_path):
    with pytest.raises(DataError, match="2 different RescaleSlope"):
        load_volume(stored(tmp_path, [enhanced((2, 3, 2))]))


# Which series, which modality


def test_modality_is_read_from_the_tag(tmp_path):
    kinds = {"CT": ("CT", "HU"), "MR": ("MR", "a.u."), "PT": ("PET", "a.u."), "NM": ("SPECT", "counts")}
    for tag, expected in kinds.items():
        loaded = load_volume(stored(tmp_path / tag, series_at([0, 5], modality=tag, number=4)))
        assert (loaded.modality, loaded.unit) == expected
        assert loaded.name == f"{expected[0]} series 4"


def test_modality_that_contradicts_the_tag_is_refused(tmp_path):
    folder = stored(tmp_path, series_at([0, 5], modality="MR"))

    with pytest.raises(ModalityError, match="as CT: found DICOM tag MR"):
        load_volume(folder, "CT")
    assert load_volume(folder, "MRI").modality == "MR"


def test_other_overrides_the_tag_and_is_the_way_out_for_unknown_ones(tmp_path):
    folder = stored(tmp_path, series_at([0, 5], modality="OT"))

    with pytest.raises(ModalityError, match=r"DICOM tag OT; accepted: CT, MR, PT, NM.*--modality OTHER"):
        load_volume(folder)
    assert load_volume(folder, "OTHER").modality == "OTHER"


def test_missing_modality_tag_is_asked_for(tmp_path):
    folder = stored(tmp_path, series_at([0, 5], modality=""))

    with pytest.raises(ModalityError, match="missing"):
        load_volume(folder)
    assert load_volume(folder, "CT").unit == "HU"


def test_unit_that_contradicts_the_tags_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="'SUV'; accepted: HU"):
        load_volume(stored(tmp_path, series_at([0, 5])), unit="SUV")


def test_two_series_are_listed_and_one_is_had_by_a_file_or_by_its_modality(tmp_path):
    stored(tmp_path, series_at([0, 5], number=3) + series_at([0, 5, 10], modality="MR", number=5, series="4.5.6"))
    of_mr = next(file for file in tmp_path.iterdir() if b"4.5.6" in file.read_bytes())

    with pytest.raises(FileError, match=r"2 series: number 3 \(CT, 2 files\); number 5 \(MR, 3 files\)"):
        load_volume(tmp_path)
    assert load_volume(of_mr).grid.shape == (3, 4, 5)
    assert load_volume(tmp_path, "CT").grid.shape == (2, 4, 5)


def test_files_that_are_no_images_are_passed_over(tmp_path):
    stored(tmp_path, series_at([0, 5]))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "sub").mkdir()
    contours = image("RTSTRUCT", series="9")
    for tag in ("Rows", "Columns", "PixelData"):
        delattr(contours, tag)
    contours.save_as(tmp_path / "contours.dcm", enforce_file_format=True)

    assert load_volume(tmp_path).grid.shape == (2, 4, 5)
    with pytest.raises(FileError, match="found none"):
        load_volume(tmp_path / "contours.dcm")


def test_folder_without_dicom_is_refused(tmp_path):
    with pytest.raises(FileError, match="found none"):
        load_volume(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(FileError, match="found none"):
        load_volume(tmp_path)


def test_damaged_images_are_refused_by_file(tmp_path):
    cut = series_at([0, 5])
    file = min(stored(tmp_path / "cut", cut).iterdir())
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(FileError, match=file.name):
        load_volume(tmp_path / "cut")

    text = min(stored(tmp_path / "text", series_at([0, 5])).iterdir())
    content = text.read_bytes()
    text.write_bytes(content.replace(b"\\20.0\\", b"\\ab.c\\"))
    assert text.read_bytes() != content
    with pytest.raises(GeometryError, match="no usable ImagePositionPatient"):
        load_volume(tmp_path / "text")


def test_values_that_break_the_letter_of_dicom_but_can_be_understood_are_taken(tmp_path):
    with disable_value_validation():
        stored(tmp_path, series_at([0, 5], modality="MR", series="not a uid", AcquisitionDate="1993.11.24"))

    loaded = load_volume(tmp_path)

    assert loaded.grid.shape == (2, 4, 5)


def test_patient_is_named_nowhere(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    seen = [load_volume(stored(tmp_path / "PT", series_at([0, 5], modality="PT", Units="BQML"))).name]
    wrong = {
        "gap": series_at([0, 5, 15]),
        "time": series_at([0, 0]),
        "two": series_at([0]) + series_at([0], series="4"),
        "place": [image()],
        "kind": series_at([0], modality="OT"),
        "frames": [nm_frames(ImageType="TOMO")],
    }
    for name, images in wrong.items():
        with pytest.raises((DataError, FileError, GeometryError, ModalityError)) as error:
            load_volume(stored(tmp_path / name, images))
        seen.append(str(error.value))

    assert "PET series 1" in caplog.text
    assert not any(part in text for part in PATIENT.split("^") for text in [*seen, caplog.text])


def test_color_of_a_secondary_capture_stays_color(tmp_path):
    pixels = np.arange(60, dtype=np.uint8)
    tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "BitsAllocated": 8}
    images = series_at([0, 5], modality="CT", **tags, BitsStored=8, HighBit=7, PixelData=pixels.tobytes())
    for header in images:
        del header.RescaleSlope, header.RescaleIntercept

    loaded = load_volume(stored(tmp_path, images))

    assert (loaded.array == pixels.reshape(4, 5, 3)).all()
    assert loaded.unit == "a.u."


# Real series


@pytest.mark.parametrize("name", ["CT", "PET", "MR_T1"])
def test_real_series_is_what_simpleitk_makes_of_it(shared_data, name):
    folder = shared_data / "volumes/dicom/STS_051" / name
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    reader.SetOutputPixelType(sitk.sitkFloat32)
    expected, loaded = reader.Execute(), load_volume(folder)

    assert (sitk.GetArrayFromImage(expected) == loaded.array).all()
    last = np.array(expected.TransformContinuousIndexToPhysicalPoint([n - 1.0 for n in expected.GetSize()]))
    assert np.abs(loaded.grid.corners - last * (-1, -1, 1)).sum(1).min() < 1e-3


def test_real_ge_pet_becomes_the_suv_of_the_ibsi_reference(shared_data):
    whole = load_volume(shared_data / "volumes/dicom/STS_001_PET_GE_BQML")
    crop = load_volume(shared_data / "volumes/sts_triplets/STS_001/PET_image.nii.gz", "PET", unit="SUV")
    start = np.linalg.inv(whole.grid.affine) @ np.append(crop.grid.corners[0], 1)
    i, j, k = np.rint(start[:3]).astype(int)
    part = whole.array[tuple(slice(n, n + size) for n, size in zip((k, j, i), crop.grid.shape, strict=True))]

    assert whole.unit == "SUV"
    assert whole.grid.shape == (267, 128, 128)
    # The mean step stands for gaps of 3.19 to 3.29 mm: no slice is off by more than a tenth of a millimeter.
    assert np.abs(start[:3] - (i, j, k)).max() < 0.03
    # IBSI rounded the decay to whole seconds and stored float32.
    assert np.abs(part - crop.array).max() < 1e-4 * crop.array.max()


def test_real_suv_series_is_not_converted_twice(shared_data):
    loaded = load_volume(shared_data / "volumes/dicom/STS_051/PET")

    assert loaded.unit == "SUV"
    assert loaded.array.max() == pytest.approx(28.7094, abs=1e-3)


def test_real_jpeg2000_ct_takes_its_step_from_places(shared_data):
    loaded = load_volume(shared_data / "volumes/dicom/CT_mCT_J2K_20slices")

    assert (loaded.unit, loaded.name) == ("HU", "CT series")
    assert loaded.grid.spacing == pytest.approx((0.9765625, 0.9765625, 2))
    assert loaded.array.min() == -1024


def test_real_edge_cases_load_or_say_why_not(shared_data, caplog):
    edge = shared_data / "volumes/dicom/edge"
    tilted, oblique = load_volume(edge / "CT_gantry_tilt_14deg").grid, load_volume(edge / "MR_double_oblique").grid
    assert not tilted.is_rectangular
    # Slices 5 mm apart along z, tilted by 14 degrees: 4.851 mm along their normal.
    assert abs(np.cross(*tilted.directions[:, :2].T) @ tilted.affine[:3, 2]) == pytest.approx(4.851, abs=1e-3)
    assert oblique.is_rectangular

    scaled = load_volume(edge / "MR_nonsquare_per_slice_slope")
    assert scaled.grid.spacing == pytest.approx((6.4, 4.0, 0.5), abs=1e-3)
    assert load_volume(edge / "PT_single_BQML_jpeglossless.dcm").unit == "SUV"
    assert load_volume(edge / "PT_single_PROPCPS.dcm").unit == "counts"
    assert "PROPCPS" in caplog.text
    with pytest.raises(GeometryError, match="no usable ImagePositionPatient, ImageOrientationPatient;"):
        load_volume(edge / "NM_multiframe_heart.dcm")
