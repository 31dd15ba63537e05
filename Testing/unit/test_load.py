"""Loading files: right voxels at the right place, or an error that says what to do."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy.spatial.transform import Rotation

from MedFusionLib.errors import DataError, FileError, MedFusionError, ModalityError, ParameterError
from MedFusionLib.load import load_volume
from MedFusionLib.volume import Grid

SHAPE = (7, 6, 5)
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}

FLOAT32_MM = 1e-4
"""NIfTI keeps places in float32: half a last digit at 300 mm is 1.5e-5 mm, times the steps to a corner."""


def affine(angles=(10, 20, 30), spacing=(2, 3, 4), origin=(1, 2, 3)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing
    matrix[:3, 3] = origin
    return matrix


def nifti(
    path: Path, array: np.ndarray, *, sform=None, s=0, qform=None, q=0, order="<", code=None, dims=None, **more
) -> Path:
    """A NIfTI-1 file packed byte by byte after the standard, apart from the library's own writer."""
    code = code or next(number for number, kind in TYPES.items() if kind == array.dtype.str[1:])
    dims = dims or (3, *array.shape[2::-1])
    header, mirror = bytearray(352), 1.0
    if qform is not None:
        turn = qform[:3, :3] / np.linalg.norm(qform[:3, :3], axis=0)
        mirror = np.sign(np.linalg.det(turn))
        quaternion = Rotation.from_matrix(turn * [1, 1, mirror]).as_quat(canonical=True)
        struct.pack_into(order + "6f", header, 256, *quaternion[:3], *qform[:3, 3])
    if sform is not None:
        struct.pack_into(order + "12f", header, 280, *sform[:3].ravel())
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, *dims, *[1] * (8 - len(dims)))
    struct.pack_into(order + "3h", header, 68, more.get("intent", 0), code, more.get("bits", 8 * array.itemsize))
    struct.pack_into(order + "8f", header, 76, mirror, *more.get("pixdim", (2, 3, 4)), 1, 1, 1, 1)
    struct.pack_into(order + "3f", header, 108, 352, more.get("slope", 0), more.get("inter", 0))
    header[123] = more.get("units", 2)
    struct.pack_into(order + "2h", header, 252, q, s)
    header[344:348] = b"n+1\0"
    content = bytes(header) + array.astype(array.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def numbers(dtype="i2") -> np.ndarray:
    return np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)


def ras_of(image: sitk.Image) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return np.diag([-1, -1, 1, 1]) @ matrix


# Places


@pytest.mark.parametrize("q", [0, 1, 2])
@pytest.mark.parametrize("s", [0, 1, 2, 4])
def test_nifti_lies_where_simpleitk_puts_it_whatever_the_form_codes(tmp_path, s, q):
    path = nifti(tmp_path / "a.nii", numbers(), sform=affine(), s=s, qform=affine((0, 0, 5), origin=(7, 8, 9)), q=q)

    loaded, expected = load_volume(path, "MR"), Grid(SHAPE, ras_of(sitk.ReadImage(str(path))))

    assert np.abs(loaded.grid.corners - expected.corners).max() < FLOAT32_MM


@pytest.mark.parametrize("qform", [affine((170, 5, 80)), affine() @ np.diag([1, 1, -1, 1])], ids=["turned", "mirrored"])
def test_nifti_quaternion_gives_the_affine_it_was_made_of(tmp_path, qform):
    path = nifti(tmp_path / "a.nii", numbers(), qform=qform, q=1)

    assert np.abs(load_volume(path, "MR").grid.corners - Grid(SHAPE, qform).corners).max() < FLOAT32_MM


@pytest.mark.parametrize(("units", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001)])
def test_nifti_units_of_length_become_millimeters(tmp_path, units, factor):
    path = nifti(tmp_path / "a.nii", numbers(), sform=affine(), s=1, units=units)

    assert load_volume(path, "MR").grid.spacing == pytest.approx(np.array([2, 3, 4]) * factor, rel=1e-6)


def test_sheared_nifti_that_simpleitk_refuses_keeps_its_shear(tmp_path):
    sheared = affine()
    sheared[:3, 2] += (1, 0, 0)
    path = nifti(tmp_path / "a.nii", numbers(), sform=sheared, s=1)

    grid = load_volume(path, "MR").grid

    assert not grid.is_rectangular
    assert np.abs(grid.affine - sheared).max() < FLOAT32_MM


def test_sheared_sform_gives_way_to_a_qform_as_in_slicer(tmp_path):
    sheared, right = affine(), affine((0, 0, 5))
    sheared[:3, 2] += (1, 0, 0)
    path = nifti(tmp_path / "a.nii", numbers(), sform=sheared, s=1, qform=right, q=1)

    assert np.abs(load_volume(path, "MR").grid.affine - right).max() < FLOAT32_MM


def test_sheared_nrrd_keeps_its_shear(tmp_path):
    head = (
        "NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n"
        "space directions: (2,0,0) (0,3,0) (1,0,4)\nspace origin: (1,2,3)\nkinds: domain domain domain\n"
    )
    (tmp_path / "a.nrrd").write_text(head + "encoding: ascii\n\n" + " ".join(map(str, range(24))))

    affine_ras = load_volume(tmp_path / "a.nrrd", "MR").grid.affine

    assert affine_ras[:3].tolist() == [[-2, 0, -1, -1], [0, -3, 0, -2], [0, 0, 4, 3]]


@pytest.mark.parametrize("file", ["mni2mm/SPECT_HMPAO_rasflip.nii.gz", "mni2mm/PET_H2O15.nii.gz"])
def test_template_stored_in_either_direction_covers_the_same_world_as_mr(shared_data, file):
    mr = load_volume(shared_data / "volumes/mni2mm/MR_T1.nii.gz", "MR")
    other = load_volume(shared_data / "volumes" / file, "SPECT")

    for function in (np.min, np.max):
        # Half a voxel: the RAS copy starts at the center of the opposite voxel.
        assert np.abs(function(mr.grid.corners, 0) - function(other.grid.corners, 0)).max() <= 1.0 + 1e-3
    assert (mr.grid.affine[0, 0] * other.grid.affine[0, 0] < 0) == ("rasflip" in file)


def test_real_files_equal_what_simpleitk_reads(shared_data):
    files = [*(shared_data / "volumes/oblique").iterdir(), *(shared_data / "volumes/misc").iterdir()]
    for file in files:
        image, loaded = sitk.ReadImage(str(file)), load_volume(file, "MR")
        expected = sitk.GetArrayFromImage(image).astype(np.float32)
        # The slope is applied in float64 here and in float32 there.
        assert np.abs(loaded.array - expected).max() <= 1e-6 * np.abs(expected).max(), file.name
        assert loaded.grid.same_as(Grid(expected.shape, ras_of(image))), file.name


# Voxels


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", TYPES.values())
def test_nifti_of_every_number_type_and_byte_order_keeps_its_values(tmp_path, kind, order):
    array = numbers(kind) % 100
    path = nifti(tmp_path / "a.nii.gz", array, sform=affine(), s=1, order=order, slope=0.5, inter=-10)

    loaded = load_volume(path, "MR")

    assert loaded.array.dtype == np.float32
    assert (loaded.array == array * 0.5 - 10).all()


def test_nifti2_is_read(tmp_path):
    header = bytearray(544)
    struct.pack_into("<i8s2h8q", header, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 3, 5, 6, 7, 1, 1, 1, 1)
    struct.pack_into("<q", header, 168, 544)
    struct.pack_into("<2i", header, 344, 0, 1)
    struct.pack_into("<12d", header, 400, *affine()[:3].ravel())
    (tmp_path / "a.nii").write_bytes(bytes(header) + numbers().tobytes())

    loaded = load_volume(tmp_path / "a.nii", "MR")

    assert (loaded.array == numbers()).all()
    assert np.allclose(loaded.grid.affine, affine(), atol=1e-12)


def test_nan_and_infinity_are_kept(tmp_path):
    array = numbers("f4")
    array[0, 0, :2] = np.nan, np.inf

    loaded = load_volume(nifti(tmp_path / "a.nii", array, sform=affine(), s=1), "CT")

    assert np.isnan(loaded.array[0, 0, 0])
    assert np.isinf(loaded.array[0, 0, 1])


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("kind", ["i8", "u8", "f8"])
def test_64_bit_voxels_become_float32(tmp_path, suffix, kind):
    sitk.WriteImage(sitk.GetImageFromArray(numbers(kind)), str(tmp_path / f"a{suffix}"))

    assert (load_volume(tmp_path / f"a{suffix}", "MR").array == numbers()).all()


@pytest.mark.parametrize(("dims", "intent", "code"), [(None, 0, 128), ((5, 5, 6, 7, 1, 3), 1007, 2)])
def test_nifti_color_is_read_from_rgb_and_from_vectors(tmp_path, dims, intent, code):
    color = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3)).astype(np.uint8)
    stored = color if code == 128 else np.ascontiguousarray(np.moveaxis(color, -1, 0))
    path = nifti(tmp_path / "a.nii", stored, sform=affine(), s=1, code=code, dims=dims or (3, 5, 6, 7), intent=intent)

    assert (load_volume(path, "PET").array == color).all()


def test_four_dimensions_with_one_frame_are_a_volume(tmp_path):
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(numbers())]), str(tmp_path / "a.nrrd"))
    nifti(tmp_path / "b.nii", numbers(), sform=affine(), s=1, dims=(4, 5, 6, 7, 1))

    assert all((load_volume(tmp_path / file, "MR").array == numbers()).all() for file in ("a.nrrd", "b.nii"))


# Pictures


def save_picture(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


GRAY = np.add.outer(np.arange(40), 3 * np.arange(50)).astype(np.uint8)
COLOR = np.stack([GRAY, GRAY[::-1], 255 - GRAY], -1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
def test_picture_is_one_slice_with_the_patients_left_at_its_right(tmp_path, suffix):
    loaded = load_volume(save_picture(tmp_path / f"a{suffix}", GRAY, dpi=(300, 300)), "CT")

    assert (loaded.array == GRAY[None]).all()
    assert loaded.grid.affine.tolist() == np.diag([-1, -1, 1, 1]).tolist()
    assert (loaded.name, loaded.unit) == ("a", "levels")


def test_color_picture_stays_color_and_equal_channels_become_gray(tmp_path):
    color = load_volume(save_picture(tmp_path / "c.png", COLOR), "PET")
    gray = load_volume(save_picture(tmp_path / "g.png", GRAY, "RGB"), "MR")

    assert (color.array == COLOR[None]).all()
    assert not gray.is_color
    assert (gray.array == GRAY[None]).all()


def test_opaque_alpha_is_dropped_and_transparency_is_refused(tmp_path):
    rgba = np.dstack([COLOR, np.full(GRAY.shape, 255, np.uint8)])
    assert (load_volume(save_picture(tmp_path / "a.png", rgba), "PET").array == COLOR[None]).all()
    assert (load_volume(save_picture(tmp_path / "l.png", GRAY, "LA"), "MR").array == GRAY[None]).all()

    rgba[0, 0, 3] = 254
    with pytest.raises(DataError, match=r"4 components of uint8 .transparent"):
        load_volume(save_picture(tmp_path / "t.png", rgba), "PET")


def test_palette_and_black_and_white_pictures_show_their_colors(tmp_path):
    palette = Image.fromarray(COLOR).quantize(200)
    palette.save(tmp_path / "p.tif")
    save_picture(tmp_path / "b.png", GRAY > 50)

    assert (load_volume(tmp_path / "p.tif", "PET").array == np.asarray(palette.convert("RGB"))[None]).all()
    assert (load_volume(tmp_path / "b.png", "MR").array == 255 * (GRAY > 50)[None]).all()


def test_16_bit_gray_is_kept_and_16_bit_color_is_refused(tmp_path):
    deep = GRAY.astype(np.uint16) * 200
    assert (load_volume(save_picture(tmp_path / "g.png", deep), "MR").array == deep[None]).all()

    for suffix in (".png", ".tif"):
        file = tmp_path / f"c{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(COLOR.astype(np.uint16) * 200, isVector=True), str(file))
        with pytest.raises(DataError, match="16-bit RGB color"):
            load_volume(file, "PET")


def test_pages_of_a_tiff_are_slices(tmp_path):
    pages = [Image.fromarray(GRAY + n) for n in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])

    assert (load_volume(tmp_path / "a.tif", "MR").array == np.stack([GRAY + n for n in range(3)])).all()


def test_pages_of_different_size_are_refused(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(GRAY[:30])])

    with pytest.raises(DataError, match=r"50 x 30 .* and 50 x 40"):
        load_volume(tmp_path / "a.tif", "MR")


# Modality, unit, name


def test_missing_modality_is_asked_for_by_file_name(tmp_path):
    with pytest.raises(ModalityError, match=r"Which modality is .*a\.nii.*CT, MR, PET.*--modality CT.*modality=\"CT\""):
        load_volume(nifti(tmp_path / "a.nii", numbers()))


def test_unknown_modality_is_refused(tmp_path):
    with pytest.raises(ModalityError, match="'XRAY'"):
        load_volume(nifti(tmp_path / "a.nii", numbers()), "XRAY")


@pytest.mark.parametrize(
    ("modality", "shift", "asked", "unit"),
    [
        ("CT", -1000, None, "HU"),
        ("CT", 0, None, "a.u."),
        ("MR", -1000, None, "a.u."),
        ("PET", 0, "SUV", "SUV"),
        ("CT", 0, "HU", "HU"),
    ],
)
def test_unit_of_a_file_is_hu_only_for_ct_below_zero_or_as_told(tmp_path, modality, shift, asked, unit):
    path = nifti(tmp_path / "a.nii", numbers() + np.int16(shift))

    assert load_volume(path, modality, unit=asked).unit == unit


def test_unknown_unit_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="'suvs'"):
        load_volume(nifti(tmp_path / "a.nii", numbers()), "PET", unit="suvs")


def test_name_is_the_stem_or_as_told(tmp_path):
    path = nifti(tmp_path / "scan.v2.nii.gz", numbers())

    assert load_volume(path, "mri").name == "scan.v2"
    assert load_volume(path, "mri", name="T1").name == "T1"


# What cannot be loaded


@pytest.mark.parametrize("kept", [0.95, 0.5, 0.001])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".jpg", ".tif"])
def test_truncated_file_is_refused_never_filled_up(tmp_path, suffix, kept):
    path, noise = tmp_path / f"a{suffix}", np.random.default_rng(0).integers(0, 255, (20, 30, 40)).astype(np.uint8)
    if suffix in (".nii", ".nii.gz"):
        nifti(path, noise)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(noise if suffix in (".nrrd", ".mha") else noise[0]), str(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])

    with pytest.raises(FileError, match=rf"a\{suffix}"):
        load_volume(path, "MR")


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize("kept", [0.5, None])
def test_header_with_truncated_or_missing_voxel_file_is_refused(tmp_path, suffix, kept):
    sitk.WriteImage(sitk.GetImageFromArray(numbers()), str(tmp_path / f"a{suffix}"))
    (voxels,) = (file for file in tmp_path.iterdir() if file.suffix != suffix)
    content = voxels.read_bytes()
    voxels.unlink() if kept is None else voxels.write_bytes(content[: int(len(content) * kept)])

    with pytest.raises(FileError, match=rf"a\{suffix}"):
        load_volume(tmp_path / f"a{suffix}", "MR")


def test_gzip_with_a_flipped_bit_is_refused(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8))
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)

    with pytest.raises(FileError, match=r"CRC|invalid|Error"):
        load_volume(path, "MR")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".png", ".tif", ".jpg"])
@pytest.mark.parametrize("content", [b"", b"not an image at all " * 50])
def test_file_of_another_kind_is_refused(tmp_path, suffix, content):
    (tmp_path / f"a{suffix}").write_bytes(content)

    with pytest.raises(FileError):
        load_volume(tmp_path / f"a{suffix}", "MR")


def test_missing_path_unknown_extension_and_overlong_name_are_refused(tmp_path):
    (tmp_path / "a.xyz").write_text("hello")
    for file, expected in {"b.nii": "no such file", "a.xyz": r"\.xyz.*\.nrrd", "c" * 300 + ".nii": "too long"}.items():
        with pytest.raises(FileError, match=expected):
            load_volume(tmp_path / file, "MR")


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_series_of_volumes_is_refused_with_its_number_of_frames(tmp_path, suffix):
    frame = sitk.GetImageFromArray(numbers())
    sitk.WriteImage(sitk.JoinSeries([frame] * 3), str(tmp_path / f"a{suffix}"))

    with pytest.raises(DataError, match="5 x 6 x 7 x 3: 3 frames; accepted: one 3-D volume"):
        load_volume(tmp_path / f"a{suffix}", "MR")


@pytest.mark.parametrize("kind", [sitk.sitkComplexFloat32, sitk.sitkVectorFloat32, sitk.sitkVectorUInt16])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_complex_and_vector_voxels_are_refused(tmp_path, kind, suffix):
    image = sitk.Image([4, 5, 6], kind)
    if kind != sitk.sitkComplexFloat32:
        image[0, 0, 0] = (1, 2, 3)
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))

    complex_nrrd = kind == sitk.sitkComplexFloat32 and suffix == ".nrrd"  # MetaImage knows two components, no complex
    with pytest.raises(DataError, match="magnitude" if complex_nrrd else "components of"):
        load_volume(tmp_path / f"a{suffix}", "CT")


def test_complex_nifti_is_refused_by_its_type_code(tmp_path):
    with pytest.raises(DataError, match="complex64"):
        load_volume(nifti(tmp_path / "a.nii", np.zeros(SHAPE, "f8"), code=32, bits=64), "MR")


def test_nifti_without_sense_in_its_sizes_is_refused(tmp_path):
    for dims in ((3, 5, -6, 7), (9, 5, 6, 7), (3, 30000, 30000, 30000)):
        with pytest.raises(MedFusionError, match=r"a\.nii: found"):
            load_volume(nifti(tmp_path / "a.nii", numbers(), dims=dims), "MR")
