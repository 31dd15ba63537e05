"""Color in and out: uptake from known palettes, hue kept in the gamut, Slicer's own tables."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from MedFusionLib.errors import UnknownNameError
from MedFusionLib.harmonize import align
from MedFusionLib.harmonize.color import (
    TABLES,
    along_palette,
    blended,
    chroma,
    colorize,
    luma,
    recolor,
    table,
    uptake_of,
)
from MedFusionLib.pipeline import fuse
from MedFusionLib.volume import Grid, Volume

PALETTES = [name for name in TABLES if name != "gray"]
GRID = Grid((1, 32, 64), np.eye(4))
UPTAKE = np.linspace(0, 1, 32 * 64, dtype=np.float32).reshape(1, 32, 64)


def pictured(name, uptake=UPTAKE):
    """8-bit pseudo-color, as atlases and secondary captures hold it."""
    return np.rint(colorize(uptake, name) * 255).astype(np.uint8)


def anatomy(seed=0):
    return Volume(np.random.default_rng(seed).random(GRID.shape), GRID, "MR", "mr")


@pytest.mark.parametrize("name", PALETTES)
def test_a_known_palette_gives_the_uptake_back(name):
    uptake, found = uptake_of(pictured(name))
    assert found == name
    # A table has 256 levels of 8 bits; neighboring levels may share a color.
    assert np.abs(uptake - UPTAKE).max() <= 3 / 255


def test_the_palette_of_the_atlas_is_inverted_to_the_order_of_its_uptake(shared_data):
    import SimpleITK as sitk

    for path in sorted((shared_data / "slices" / "aanlib" / "PET-MRI" / "PET").glob("25*.png"))[::5]:
        rgb = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[..., :3]
        uptake, found = uptake_of(rgb)
        assert found == "atlas-pet"
        assert np.abs(colorize(uptake, found) * 255 - rgb).max() <= 6


def test_the_luma_of_a_rainbow_is_not_its_uptake():
    # Why tables are inverted at all: red (uptake 0.75) is darker than yellow (0.5).
    assert luma(colorize(np.array(0.75), "atlas-pet")) < luma(colorize(np.array(0.5), "atlas-pet"))


def test_colors_of_no_table_are_not_forced_into_one():
    noise = np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3)).astype(np.uint8)
    assert uptake_of(noise) is None
    assert uptake_of(np.zeros((1, 4, 4, 3), np.uint8)) is None


@pytest.mark.parametrize("name", PALETTES)
def test_gray_beside_color_does_not_become_uptake(name):
    # A screenshot: the upper half painted uptake, the lower half gray anatomy.
    rgb = pictured(name)
    rgb[:, 16:] = np.linspace(0, 255, 64, dtype=np.uint8)[:, None]
    assert uptake_of(rgb) is None


def test_a_dim_painted_image_is_not_stretched():
    dim = 0.45 * UPTAKE
    aligned = align([anatomy(), Volume(pictured("atlas-pet", dim), GRID, "PET", "dim")])
    assert np.abs(aligned.volumes[1].array - dim).max() <= 4 / 255
    assert np.abs(aligned.chroma - chroma(pictured("atlas-pet", dim) / 255)).max() < 0.1


def test_luminance_and_chroma_rebuild_the_color():
    rgb = np.random.default_rng(0).random((100, 3))
    np.testing.assert_allclose(recolor(luma(rgb), chroma(rgb)), rgb, atol=1e-6)


def test_another_luminance_keeps_the_hue_and_stays_in_the_gamut():
    rng = np.random.default_rng(0)
    rgb, luminance = rng.random((500, 3)), rng.random(500)
    result = recolor(luminance, chroma(rgb))
    assert result.min() >= 0
    assert result.max() <= 1
    np.testing.assert_allclose(luma(result), luminance, atol=1e-6)
    # Chroma only shrinks: it points where it pointed.
    before, after = chroma(rgb), chroma(result)
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    assert np.abs(cross).max() < 1e-6
    assert ((before * after).sum(1) >= 0).all()


def test_no_chroma_gives_gray():
    y = np.linspace(0, 1, 11)
    np.testing.assert_allclose(recolor(y, np.zeros((11, 2))), np.repeat(y[:, None], 3, 1), atol=1e-7)


def test_several_colors_are_weighted_by_how_colorful_they_are():
    a, b = np.array([[0.4, 0.0]], np.float32), np.array([[0.2, 0.0]], np.float32)
    np.testing.assert_allclose(blended([a, b]), [[(0.4 * 0.4 + 0.2 * 0.2) / 0.6, 0]], atol=1e-6)
    np.testing.assert_array_equal(blended([0 * a, 0 * b]), [[0, 0]])


def test_an_unknown_table_names_those_there_are():
    with pytest.raises(UnknownNameError, match=r"'jet2'.*pet-heat"):
        table("jet2")


@pytest.mark.parametrize(("ours", "slicers"), [("pet-heat", "Heat"), ("pet-rainbow", "Rainbow")])
def test_tables_are_those_of_slicer(ours, slicers):
    slicer = pytest.importorskip("slicer", reason="needs slicer-core")
    node = slicer.vtkMRMLPETProceduralColorNode()
    getattr(node, f"SetTypeTo{slicers}")()
    function = node.GetColorTransferFunction()
    expected = [function.GetColor(level) for level in range(256)]
    np.testing.assert_allclose(table(ours), expected, atol=1e-6)


def test_scalar_uptake_is_colored_by_the_chosen_table_with_the_fused_luminance():
    pet = Volume(UPTAKE * 8, GRID, "PET", "pet", "SUV")
    fused = fuse([anatomy(), pet], method="average", color="pet-heat", plane="axial")
    assert fused.color.is_color
    np.testing.assert_allclose(luma(fused.color.array / 255), fused.volume.array, atol=1.5 / 255)
    hot = colorsys.rgb_to_hsv(*(fused.color.array[0, 10, 30] / 255))  # uptake 0.33: yellow end of red
    assert 0 < hot[0] < 1 / 6 + 0.01


def test_by_default_gray_sources_give_a_gray_result_and_color_sources_color():
    pet = Volume(UPTAKE * 8, GRID, "PET", "pet", "SUV")
    painted = Volume(pictured("atlas-pet"), GRID, "PET", "painted")
    assert fuse([anatomy(), pet], plane="axial").color is None
    assert fuse([anatomy(), painted], plane="axial").color is not None
    assert fuse([anatomy(), painted], plane="axial", color="none").color is None


def test_a_painted_pet_is_fused_by_its_uptake():
    painted = Volume(pictured("atlas-pet"), GRID, "PET", "painted")
    aligned = align([anatomy(), painted])
    assert np.abs(aligned.volumes[1].array - UPTAKE).max() <= 4 / 255
    np.testing.assert_allclose(aligned.chroma, chroma(colorize(aligned.volumes[1].array, "atlas-pet")), atol=1e-6)


def test_unknown_colors_are_fused_by_luma_and_carried():
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 255, (*GRID.shape, 3)).astype(np.uint8)
    aligned = align([anatomy(), Volume(rgb, GRID, "OTHER", "photo")])
    np.testing.assert_allclose(aligned.volumes[1].array, luma(rgb / 255), atol=1 / 255)
    np.testing.assert_allclose(aligned.chroma, chroma(rgb / np.float32(255)), atol=1e-6)


def own_palette(uptake):
    """A palette that no table holds, whose luma falls twice while uptake grows."""
    corners = np.array([(0, 0, 0), (90, 120, 130), (60, 0, 120), (255, 120, 0), (200, 20, 160)])
    return np.stack([np.interp(uptake, np.linspace(0, 1, 5), channel) for channel in corners.T], -1)


@pytest.mark.parametrize("gain", [1.0, 0.8])
def test_the_way_along_a_palette_grows_with_uptake_though_its_colors_were_interpolated(gain):
    uptake = gaussian_filter(np.random.default_rng(0).random((256, 256)), 6)
    uptake = (uptake - uptake.min()) / np.ptp(uptake)
    # Halfway between four neighbors: mixed colors lie beside the curve.
    mixed, there = (
        (array[1:, 1:] + array[:-1, 1:] + array[1:, :-1] + array[:-1, :-1]) / 4
        for array in (own_palette(uptake) * gain, uptake)
    )
    rgb = np.rint(mixed).astype(np.uint8)
    assert uptake_of(rgb) is None
    assert spearmanr(along_palette(rgb).ravel(), there.ravel())[0] > 0.99
    assert spearmanr(luma(rgb / 255).ravel(), there.ravel())[0] < 0.8


def test_colors_that_fill_space_have_no_way_along_them():
    noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    assert along_palette(noise) is None
    black = np.zeros((1, 4, 4, 3), np.uint8)
    np.testing.assert_array_equal(along_palette(black), np.zeros((1, 4, 4)))
