"""From volumes to a fused volume: the plan, the story, planes, color, errors before work, and the promises of speed."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch

from MedFusionLib import registry
from MedFusionLib.errors import Cancelled, DataError, DependencyError, InputError, ParameterError, UnknownNameError
from MedFusionLib.harmonize import align
from MedFusionLib.pipeline import fuse, fuse_aligned
from MedFusionLib.registry import list_methods
from MedFusionLib.volume import Aligned, Fused, Grid, Volume, Window
from Testing.unit.conftest import aligned_balls, ball


def pair(spacing=1.0):
    return [ball(seed=0, spacing=spacing), ball(seed=1, modality="PET", spacing=spacing)]


@pytest.fixture
def registered():
    """Register throw-away methods, and forget them afterwards."""
    before = dict(registry._METHODS)

    def add(function, **facts):
        facts = {"title": "T", "family": "transform", "dims": (2, 3), "sources": (2, None), "reference": "t"} | facts
        registry.method(**facts)(function)
        return function.__name__

    yield add
    registry._METHODS.clear()
    registry._METHODS.update(before)


@pytest.mark.parametrize("name", list_methods())
@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_method_fuses_two_three_and_four_volumes(name, count):
    volumes = [ball(seed=seed, modality=m) for seed, m in zip(range(count), ("CT", "MR", "PET", "SPECT"), strict=False)]
    fused = fuse(volumes, method=name)
    assert isinstance(fused, Fused)
    assert fused.volume.grid.same_as(volumes[0].grid)
    assert fused.volume.array.min() >= 0
    assert fused.volume.array.max() <= 1
    assert fused.volume.array.std() > 0.05
    assert fused.story["method"] == name


def test_weight_0_is_the_first_volume_and_weight_1_the_second():
    volumes = pair()
    aligned = align(volumes)
    for weight in (0, 1):
        fused = fuse_aligned(aligned, method="weighted", parameters={"weight": weight})
        inside = aligned.mask
        np.testing.assert_array_equal(fused.volume.array[inside], aligned.volumes[weight].array[inside])


def test_fusing_the_same_volume_with_itself_gives_it_back():
    volume = ball()
    same = align([volume, volume]).volumes[0].array
    for name, entry in list_methods().items():
        difference = np.abs(fuse([volume, volume], method=name).volume.array - same)
        assert difference.max() < 1e-5 if entry.tolerance is None else difference.mean() < entry.tolerance, name


def test_the_same_run_gives_the_same_voxels():
    first, second = fuse(pair()), fuse(pair())
    np.testing.assert_array_equal(first.volume.array, second.volume.array)


def test_sources_stay_as_they_are():
    volumes = pair()
    copies = [volume.array.copy() for volume in volumes]
    fuse(volumes, color="pet-heat", spacing=1.5)
    for volume, copy in zip(volumes, copies, strict=True):
        np.testing.assert_array_equal(volume.array, copy)


def axial_aligned(spacing, shape=(10, 20, 20)):
    grid = Grid(shape, np.diag([*spacing, 1]))
    rng = np.random.default_rng(0)
    volumes = tuple(Volume(rng.random(shape), grid, "MR") for _ in range(2))
    return Aligned(volumes, (Window(0, 1),) * 2, np.ones((2, *shape), bool), np.ones(shape, bool))


@pytest.mark.parametrize(
    ("spacing", "shape", "plane"),
    [
        ((1, 1, 1), (10, 20, 20), "volume"),
        ((1, 1, 3), (10, 20, 20), "volume"),
        ((1, 1, 5), (10, 20, 20), "volume"),
        ((1, 1, 6), (10, 20, 20), "axial"),
        ((1, 6, 1), (10, 20, 20), "coronal"),
        ((6, 1, 1), (10, 20, 20), "sagittal"),
        ((1, 1, 1), (1, 20, 20), "axial"),
        ((1, 1, 1), (20, 20, 1), "sagittal"),
    ],
)
def test_thick_slices_are_fused_one_by_one_and_cubes_in_3d(spacing, shape, plane):
    assert fuse_aligned(axial_aligned(spacing, shape), method="average").story["planes"] == [plane]


def test_planes_are_anatomical_whatever_the_axes_of_the_array():
    aligned = aligned_balls((16, 18, 20))
    # The same voxels, stored with another axis first: "axial" must cut through the same slices.
    order = (2, 0, 1)
    affine = aligned.grid.affine.copy()
    affine[:3, :3] = affine[:3, :3][:, [2 - order[2 - n] for n in range(3)]]
    grid = Grid(tuple(aligned.grid.shape[n] for n in order), affine)
    volumes = tuple(Volume(v.array.transpose(order), grid, "MR") for v in aligned.volumes)
    turned = Aligned(
        volumes, aligned.windows, aligned.fields.transpose(0, *(n + 1 for n in order)), aligned.mask.transpose(order)
    )
    for plane in ("axial", "coronal", "sagittal"):
        straight = fuse_aligned(aligned, plane=plane).volume.array
        np.testing.assert_allclose(fuse_aligned(turned, plane=plane).volume.array, straight.transpose(order), atol=1e-6)


def test_all_planes_are_averaged(balls):
    passes = [fuse_aligned(balls, plane=plane).volume.array for plane in ("axial", "coronal", "sagittal")]
    np.testing.assert_allclose(fuse_aligned(balls, plane="all").volume.array, np.mean(passes, 0), atol=1e-6)


def test_the_story_of_all_planes_counts_every_pass_and_can_be_run_again(registered, balls):
    def overshoots(sources):
        """Overshoot in axial slices only: they are 32 x 28."""
        return sources[:, :1] + 2.0 * (sources.shape[2:] == (32, 28))

    story = fuse_aligned(balls, method=registered(overshoots), plane="all").story
    assert story["planes"] == ["sagittal", "coronal", "axial"]
    assert story["plan"]["plane"] == "all"
    assert story["fused_clipped_share"] == pytest.approx(1 / 3)


def test_a_method_is_handed_what_it_names(registered):
    seen = {}
    aligned = axial_aligned((1, 2, 3), (8, 9, 10))

    def curious(sources, *, modalities, spacing, mask, moments):
        """Look."""
        seen.update(modalities=modalities, spacing=spacing, mask=mask.shape, moments=moments.shape)
        return sources[:, :1]

    name = registered(curious)
    fuse_aligned(aligned, method=name, plane="volume")
    assert seen == {"modalities": ("MR", "MR"), "spacing": (3, 2, 1), "mask": (1, 1, 8, 9, 10), "moments": (2, 2)}
    fuse_aligned(aligned, method=name, plane="coronal")
    assert seen["spacing"] == (3, 1)
    assert seen["mask"][2:] == (8, 10)


def test_the_result_is_clipped_and_the_share_is_told(registered, balls):
    def overshoots(sources):
        """Overshoot."""
        return 2 * sources[:, :1]

    fused = fuse_aligned(balls, method=registered(overshoots))
    assert fused.volume.array.max() == 1
    expected = (balls.volumes[0].array[balls.mask] > 0.5).mean()
    assert fused.story["fused_clipped_share"] == pytest.approx(expected)


def test_the_story_is_enough_to_make_the_result_again():
    volumes = pair()
    fused = fuse(
        volumes, method="dwt", parameters={"levels": 2}, reference=1, spacing=1.5, color="pet-heat", plane="axial"
    )
    story = json.loads(json.dumps(fused.story))
    assert [source["sha256"] for source in story["sources"]] == [volume.sha256 for volume in volumes]
    again = fuse(volumes, method=story["method"], parameters=story["parameters"], **story["plan"])
    np.testing.assert_array_equal(again.volume.array, fused.volume.array)
    np.testing.assert_array_equal(again.color.array, fused.color.array)
    assert story["parameters"] == {"levels": 2, "wavelet": "bior4.4", "low": "energy"}
    assert story["devices"] == ["cpu"]
    assert {"torch", "numpy", "python", "SimpleITK"} <= set(story["versions"])
    assert set(story["seconds"]) == {"align", "fuse"}


def test_progress_covers_the_whole_run_in_order():
    told = []
    fuse(pair(), progress=lambda fraction, message: told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert {message.split()[0] for _, message in told} >= {"Placing", "Resampling", "Checking", "Aligned", "Laplacian"}


@pytest.mark.parametrize("after", [0.0, 0.3, 0.5])
def test_cancel_reaches_every_step(after):
    def stop(fraction, message):
        if fraction >= after:
            raise Cancelled(message)

    with pytest.raises(Cancelled):
        fuse(pair(), progress=stop)


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"method": "laplace"}, UnknownNameError, "'laplace'"),
        ({"parameters": {"levels": 99}}, ParameterError, "99; accepted: int, 1 to 8"),
        ({"plane": "oblique"}, ParameterError, "'oblique'; accepted: auto, volume"),
        ({"device": "cuda:7"}, InputError, "'cuda:7'; accepted: auto, cpu"),
        ({"color": "sepia"}, UnknownNameError, "'sepia'"),
        ({"reference": 5}, InputError, "number 6"),
        ({"spacing": -2}, InputError, "-2"),
    ],
)
def test_a_wrong_choice_is_told_before_any_long_work(choices, error, words):
    told = []
    with pytest.raises(error) as caught:
        fuse(pair(), **choices, progress=lambda fraction, message: told.append(fraction))
    assert words in str(caught.value)
    assert not told


def test_a_plane_that_a_method_cannot_work_in_is_told(registered, balls):
    def flat(sources):
        """Fuse slices."""
        return sources[:, :1]

    name = registered(flat, dims=(2,))
    assert fuse_aligned(balls, method=name).story["planes"] == ["axial"]
    with pytest.raises(ParameterError, match="'volume'; accepted: auto, sagittal, coronal, axial, all"):
        fuse_aligned(balls, method=name, plane="volume")


def test_a_method_without_float64_is_not_asked_to_run_where_there_is_none(registered, balls, monkeypatch):
    from MedFusionLib import pipeline

    def precise(sources):
        """Average precisely."""
        return sources.double().mean(1, keepdim=True).to(sources)

    find = pipeline.find_device
    monkeypatch.setattr(pipeline, "find_device", lambda name: torch.device("mps") if name == "auto" else find(name))
    story = fuse_aligned(balls, method=registered(precise, double=True)).story
    assert story["devices"] == ["cpu"]
    assert "MPS does not have" in story["notes"][0]


def test_more_sources_than_a_method_takes_are_fused_in_turn_and_told(registered):
    def two(sources):
        """Fuse two."""
        return (sources[:, :1] + 3 * sources[:, 1:]) / 4

    aligned = aligned_balls(count=3)
    fused = fuse_aligned(aligned, method=registered(two, sources=(2, 2)))
    first, second, third = (volume.array for volume in aligned.volumes)
    expected = np.where(aligned.mask, ((first + 3 * second) / 4 + 3 * third) / 4, first)
    np.testing.assert_allclose(fused.volume.array, expected, atol=1e-6)
    assert "takes 2 sources" in fused.story["notes"][0]


def test_too_few_sources_for_a_method_are_told(registered, balls):
    def three(sources):
        """Fuse three."""
        return sources[:, :1]

    with pytest.raises(DataError, match="found 2; accepted: 3 or more"):
        fuse_aligned(balls, method=registered(three, sources=(3, None)))


def test_without_torch_the_error_says_how_to_get_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match=r"PyTorch extension.*pip install torch"):
        fuse(pair())


def test_without_psutil_the_error_says_how_to_get_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(DependencyError, match=r"no psutil.*pip install psutil"):
        fuse(pair())


def test_a_pair_that_looks_unregistered_is_told_and_logged(caplog):
    volumes = pair()
    affine = volumes[0].grid.affine.copy()
    affine[:3, 3] += (6, 0, 0)
    moved = Volume(volumes[0].array, Grid(volumes[0].grid.shape, affine), "PET", "moved")
    with caplog.at_level(logging.WARNING, "MedFusionLib"):
        fused = fuse([volumes[0], moved])
    assert "moved looks unregistered: moved by 6 mm" in fused.story["notes"][0]
    assert fused.story["notes"][0] in caplog.text
    assert fuse([volumes[0], ball(seed=0, modality="PET", spacing=1.0001)]).story["notes"] == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if "progress" in entry.needs else name
        for name, entry in list_methods().items()
    ],
)
def test_threads_do_not_change_the_voxels(balls, name):
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(fuse_aligned(balls, method=name).volume.array)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*results)
