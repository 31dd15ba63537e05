"""The montage: right is on the left, pixels are true to scale, and every column says what it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import find_objects, label
from scipy.spatial.transform import Rotation

from MedFusionLib import _panels
from MedFusionLib.errors import DataError, GeometryError, SaveError
from MedFusionLib.harmonize.color import colorize
from MedFusionLib.present import montage, save_png, sheet
from MedFusionLib.volume import Aligned, Fused, Grid, Volume, Window

ORIENTATIONS = {  # the steps of i, j and k in RAS
    "RAS": np.eye(3),
    "LPS": np.diag([-1, -1, 1]),
    "sagittal": np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "coronal": np.array([[-1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "left-handed": np.diag([-1, 1, 1]),
    "oblique": Rotation.from_euler("xyz", (9, -7, 8), degrees=True).as_matrix() @ np.diag([-1, -1, 1]),
}
GREEN, BLUE = (0, 255, 0), (0, 0, 90)


def grid_of(axes=ORIENTATIONS["RAS"], shape=(24, 24, 24), spacing=(2, 2, 2)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = axes @ np.diag(spacing)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    return Grid(shape, affine)


def places(grid: Grid) -> np.ndarray:
    """(3, K, J, I) RAS mm of every voxel."""
    k, j, i = np.indices(grid.shape)
    return np.einsum("rc,ckji->rkji", grid.affine, np.stack([i, j, k, np.ones_like(i)]))[:3]


def case(grid: Grid, modalities=("CT", "MR"), values=(0.2, 0.6), color=None, **choices) -> tuple[Aligned, Fused]:
    """Two flat images, and a fused image in blue with a green mark."""
    sources = tuple(
        Volume(np.full(grid.shape, value, np.float32), grid, modality, f"of {modality}")
        for value, modality in zip(values, modalities, strict=True)
    )
    windows = tuple(Window(-450, 1050, "HU") if m == "CT" else Window(0, 7.3, "SUV") for m in modalities)
    aligned = Aligned(
        sources, windows, np.ones((len(sources), *grid.shape), bool), np.ones(grid.shape, bool), **choices
    )
    fused = Volume(np.full(grid.shape, 0.5, np.float32), grid, "OTHER")
    story = {"method": "laplacian", "parameters": {"levels": 4, "low": "energy"}}
    return aligned, Fused(fused, None if color is None else Volume(color, grid, "OTHER"), story)


def marked(grid: Grid, mark: np.ndarray) -> np.ndarray:
    return np.where(mark[..., None], GREEN, BLUE).astype(np.uint8)


def color_panels(picture: Image.Image) -> list[np.ndarray]:
    """The panels of the color column from top to bottom, each (h, w, 3)."""
    rgb = np.asarray(picture).astype(int)
    painted = (rgb.max(2) > 60) & (rgb[..., 0] < 30)
    regions, _ = label(painted)
    boxes = [box for box in find_objects(regions) if (box[0].stop - box[0].start) * (box[1].stop - box[1].start) > 5000]
    return [rgb[box] for box in boxes]


def corner_of(panel: np.ndarray) -> str:
    """Where the green mark lies in a panel: top or bottom, left or right."""
    rows, columns = np.nonzero((panel[..., 1] > 150) & (panel[..., 0] < 30))
    height, width = panel.shape[:2]
    return f"{'top' if rows.mean() < height / 2 else 'bottom'} {'left' if columns.mean() < width / 2 else 'right'}"


@pytest.mark.parametrize("axes", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize(
    ("mark", "corners"),
    [
        ((1, 1, 1), ["top left", "top left", "top left"]),
        ((-1, 1, 1), ["top right", "top right", "top left"]),
        ((1, -1, 1), ["bottom left", "top left", "top right"]),
        ((1, 1, -1), ["top left", "bottom left", "bottom left"]),
    ],
    ids=["right anterior superior", "left anterior superior", "right posterior superior", "right anterior inferior"],
)
def test_the_views_follow_the_radiological_convention(axes, mark, corners):
    grid = grid_of(axes)
    corner = np.all(places(grid) * np.reshape(mark, (3, 1, 1, 1)) > -2.5, axis=0)
    panels = color_panels(montage(*case(grid, color=marked(grid, corner))))
    assert [corner_of(panel) for panel in panels] == corners


def test_letters_name_the_ends_of_each_view(written):
    montage(*case(grid_of()))
    letters = [text for text, *_ in written if len(text) == 1]
    assert letters == ["R", "L", "A", "P"] * 4 + ["R", "L", "S", "I"] * 4 + ["A", "P", "S", "I"] * 4


@pytest.mark.parametrize("axes", [ORIENTATIONS["LPS"], ORIENTATIONS["sagittal"]], ids=["LPS", "sagittal"])
def test_panels_are_true_to_the_spacing(axes):
    extent = np.array([160.0, 200.0, 120.0])  # mm along R, A, S
    along = np.abs(axes).argmax(0)
    spacing = np.array([1.0, 2.0, 5.0])
    shape = tuple(int(n) for n in (extent[along] / spacing)[::-1])
    grid = grid_of(axes, shape, spacing)
    blue = marked(grid, np.zeros(shape, bool))
    sizes = [panel.shape[:2] for panel in color_panels(montage(*case(grid, color=blue)))]
    scale = _panels.PANEL_PX / extent[1]
    # The letters at the edges are not blue and bicubic edges fade: 2 pixels.
    assert np.abs(np.array(sizes) - scale * np.array([(200, 160), (120, 160), (120, 200)])).max() <= 2


def test_a_wide_volume_does_not_make_a_huge_picture():
    assert montage(*case(grid_of(shape=(4, 4, 400)))).width < 6 * 2 * _panels.PANEL_PX


@pytest.mark.parametrize(
    ("axes", "letters"), [(np.eye(3), "RLAP"), (ORIENTATIONS["coronal"], "RLSI"), (ORIENTATIONS["sagittal"], "APSI")]
)
def test_a_single_slice_makes_one_row(axes, letters, written):
    picture = montage(*case(grid_of(axes, shape=(1, 40, 40))))
    assert "".join(text for text, *_ in written if len(text) == 1) == letters * 4
    assert picture.height < 1.3 * _panels.PANEL_PX


@pytest.fixture
def written(monkeypatch) -> list[tuple[str, tuple[int, int], int]]:
    """Every text that is drawn, with its place and the width it may take."""
    texts = []

    def spy(strip, place, text, width, **style):
        texts.append((text, place, width))
        original(strip, place, text, width, **style)

    original = _panels._write
    monkeypatch.setattr(_panels, "_write", spy)
    return texts


def test_headers_name_modality_window_method_and_parameters(written):
    montage(*case(grid_of(), modalities=("CT", "PET")), title="Case 7")
    texts = [text for text, *_ in written]
    assert texts[:9] == [
        "Case 7",
        "of CT",
        "-450..1050 HU",
        "of PET",
        "0..7.3 SUV",
        "Overlay, 50 %",
        "CT + PET",
        "Fused: laplacian",
        "levels=4, low=energy",
    ]
    assert texts[-2:] == ["0", "7.3 SUV"]


def test_headers_are_drawn():
    band = np.asarray(montage(*case(grid_of())))[: _panels._GAP + 2 * _panels._LINE]
    assert (band.max(2) > 128).sum() > 400


def test_a_long_header_is_cut_to_its_column():
    aligned, fused = case(grid_of())
    long = Fused(fused.volume, None, {"method": "x" * 300, "parameters": {}})
    band = np.asarray(montage(aligned, long))[: _panels._GAP + _panels._LINE]
    assert band[:, -_panels._GAP + 2 :].max() == 0


def test_functional_sources_and_the_overlay_are_in_heat_colors():
    aligned, fused = case(grid_of(), modalities=("MR", "PET"), values=(0.6, 0.3))
    picture = np.asarray(montage(aligned, fused)).astype(int)
    width = (picture.shape[1] - _panels._GAP) // 4
    # Beside the letters and the position.
    row, column = _panels._GAP + 2 * _panels._LINE + 100, _panels._GAP + (width - _panels._GAP) // 2 + 60
    heat = colorize(np.float32(0.3), "hot")
    expected = [np.full(3, 0.6), heat, 0.5 * heat + 0.3, np.full(3, 0.5)]
    found = [picture[row, column + number * width] / 255 for number in range(4)]
    # Rounding to 8 bits.
    assert np.array(found) == pytest.approx(np.array(expected), abs=0.004)


def test_heat_colors_are_those_of_the_result():
    aligned, fused = case(grid_of(), modalities=("MR", "PET"), values=(0.6, 0.3))
    chosen = Fused(fused.volume, None, {"sources": [{"table": None}, {"table": "pet-heat"}]})
    assert not np.array_equal(np.asarray(montage(aligned, fused)), np.asarray(montage(aligned, chosen)))


def test_the_reference_is_half_of_the_overlay_of_three():
    choices = {"modalities": ("CT", "MR", "CT"), "values": (0.2, 0.8, 0.6), "reference": 1}
    picture = np.asarray(montage(*case(grid_of(), **choices))).astype(int)
    width = (picture.shape[1] - _panels._GAP) // 5
    row, column = _panels._GAP + 2 * _panels._LINE + 100, _panels._GAP + (width - _panels._GAP) // 2 + 60
    assert picture[row, column + 3 * width] / 255 == pytest.approx(0.5 * 0.8 + 0.5 * 0.4, abs=0.004)


def test_without_color_there_is_no_color_column():
    grid = grid_of()
    gray, colored = montage(*case(grid)), montage(*case(grid, color=marked(grid, np.zeros(grid.shape, bool))))
    assert colored.width > gray.width


def test_the_cut_goes_through_the_uptake(written):
    grid = grid_of()
    aligned, fused = case(grid, modalities=("CT", "PET"), values=(0.5, 0.1))
    uptake = np.zeros(grid.shape, np.float32)
    uptake[20, 4, 8] = 1
    sources = (aligned.volumes[0], aligned.volumes[1].with_array(uptake))
    montage(Aligned(sources, aligned.windows, aligned.fields, aligned.mask), fused)
    assert [text for text, *_ in written if " mm" in text] == ["axial  S 17 mm", "coronal  P 15 mm", "sagittal  L 7 mm"]


def test_the_cut_goes_through_the_foreground_without_uptake(written):
    grid = grid_of()
    aligned, fused = case(grid)
    mask = np.zeros(grid.shape, bool)
    mask[20, 4, 8] = True
    montage(Aligned(aligned.volumes, aligned.windows, aligned.fields, mask), fused)
    assert [text for text, *_ in written if " mm" in text] == ["axial  S 17 mm", "coronal  P 15 mm", "sagittal  L 7 mm"]


def test_an_empty_foreground_is_cut_in_the_middle(written):
    aligned, fused = case(grid_of(shape=(25, 25, 25)))
    montage(Aligned(aligned.volumes, aligned.windows, aligned.fields, np.zeros((25, 25, 25), bool)), fused)
    assert [text for text, *_ in written if " mm" in text] == ["axial  S 0 mm", "coronal  A 0 mm", "sagittal  R 0 mm"]


def test_the_cut_goes_through_a_named_place(written):
    montage(*case(grid_of()), at=(-7, 9, 13))
    assert [text for text, *_ in written if " mm" in text] == ["axial  S 13 mm", "coronal  A 9 mm", "sagittal  L 7 mm"]


@pytest.mark.parametrize("place", [(0, 0, 500), (0, 0), (0, np.nan, 0)])
def test_a_place_outside_the_grid_is_an_error(place):
    with pytest.raises(GeometryError, match=r"Place to cut through.*\("):
        montage(*case(grid_of()), at=place)


def test_a_result_on_another_grid_is_an_error():
    aligned, _ = case(grid_of())
    _, fused = case(grid_of(shape=(12, 12, 12)))
    with pytest.raises(GeometryError, match=r"\(12, 12, 12\)"):
        montage(aligned, fused)


def test_inputs_stay_as_they_are():
    grid = grid_of()
    aligned, fused = case(grid, color=marked(grid, np.zeros(grid.shape, bool)))
    arrays = [volume.array for volume in (*aligned.volumes, fused.volume, fused.color)] + [aligned.mask]
    before = [array.copy() for array in arrays]
    montage(aligned, fused)
    assert all(np.array_equal(*pair) for pair in zip(arrays, before, strict=True))


def test_the_same_input_gives_the_same_picture():
    first, second = (montage(*case(grid_of(), modalities=("MR", "PET"))).tobytes() for _ in range(2))
    assert first == second


def test_a_sheet_has_one_row_for_each_result(written):
    one, two = case(grid_of()), case(grid_of(), modalities=("MR", "PET"))
    picture = sheet([one, two])
    assert [text for text, *_ in written if "axial" in text or "coronal" in text] == ["axial  S 1 mm"] * 2
    assert picture.height > 2 * _panels.PANEL_PX


def test_an_empty_sheet_is_an_error():
    with pytest.raises(DataError, match="none"):
        sheet([])


def test_a_saved_picture_is_read_back_the_same(tmp_path):
    picture = montage(*case(grid_of()))
    path = save_png(picture, tmp_path / "montage.png")
    with Image.open(path) as read:
        assert read.format == "PNG"
        assert read.tobytes() == picture.tobytes()
    assert [file.name for file in tmp_path.iterdir()] == ["montage.png"]


def test_a_picture_that_cannot_be_saved_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "montage.png"
    path.write_bytes(b"old")
    picture = montage(*case(grid_of()))

    def full_disk(target, **_):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(picture, "save", full_disk)
    with pytest.raises(SaveError, match="No space left"):
        save_png(picture, path)
    assert path.read_bytes() == b"old"


def test_a_name_that_does_not_tell_the_modality_gets_it_in_front(written):
    aligned, fused = case(grid_of(), modalities=("CT", "MR"))
    renamed = tuple(replace(volume, name="head") for volume in aligned.volumes)
    montage(replace(aligned, volumes=renamed), fused)
    assert [text for text, *_ in written][:3:2] == ["CT  head", "MR  head"]


def as_pictures(aligned):
    return replace(aligned, windows=tuple(Window(0, 255, "levels") for _ in aligned.windows))


def test_pictures_get_no_orientation_for_they_tell_none(written):
    aligned, fused = case(grid_of(), modalities=("MR", "PET"))
    montage(as_pictures(aligned), fused)
    texts = {text for text, *_ in written}
    assert not texts & set("RLAPSI")
    assert not any(text.startswith("axial") for text in texts)


def test_a_painted_source_keeps_its_own_colors_and_gets_no_scale(written):
    aligned, fused = case(grid_of(), modalities=("MR", "PET"), values=(0.6, 0.3))
    tint = np.broadcast_to(np.float32([0.2, -0.1]), (*aligned.grid.shape, 2))
    painted = replace(aligned, chroma=tint)
    shown = Fused(fused.volume, None, {"sources": [{"table": None}, {"table": "own"}]})
    picture = np.asarray(montage(painted, shown)).astype(int)
    width = (picture.shape[1] - _panels._GAP) // 4
    row, column = _panels._GAP + 2 * _panels._LINE + 100, _panels._GAP + (width - _panels._GAP) // 2 + 60
    # R = Y - 0.1, B = Y + 0.2.
    assert picture[row, column + width][[0, 2]] / 255 == pytest.approx(np.array([0.2, 0.5]), abs=0.004)
    assert not any(text == "7.3 SUV" for text, *_ in written)  # the end of a bar


def test_oblique_planes_say_so(written):
    aligned, fused = case(grid_of())
    montage(aligned, fused)
    assert not any("oblique" in text for text, *_ in written)
    turned = aligned.grid.affine.copy()
    a = np.radians(12)
    turned[:3, :3] = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ turned[:3, :3]
    grid = Grid(aligned.grid.shape, turned)
    volumes = tuple(replace(volume, grid=grid) for volume in aligned.volumes)
    montage(replace(aligned, volumes=volumes), replace(fused, volume=replace(fused.volume, grid=grid)))
    assert sum("oblique" in text for text, *_ in written) == 2  # turned about S: coronal and sagittal
