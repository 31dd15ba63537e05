"""`evaluate`: what it chooses, where it looks, what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from MedFusionLib.errors import DataError, GeometryError, ParameterError, UnknownNameError
from MedFusionLib.harmonize import align
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse_aligned
from MedFusionLib.scores import Evaluation, Score
from MedFusionLib.scoring import PANEL, evaluate, fused_from
from MedFusionLib.volume import LEVELS, Fused, Grid, Volume
from Testing.reference.values import PUBLISHED, aanlib, stored, synthetic

SMALL = {"shape": (12, 64, 64), "spacing": (3, 3, 5)}


@pytest.fixture(scope="module")
def aligned():
    return align([head_phantom(modality, **SMALL) for modality in ("CT", "MR")])


@pytest.fixture(scope="module")
def fused(aligned):
    return fuse_aligned(aligned)


def picture(array, name):
    return Volume(array[None], Grid((1, *array.shape), np.eye(4)), "OTHER", name, LEVELS)


def triplet(images):
    a, b, f = (picture(image, name) for image, name in zip(images, "ABF", strict=True))
    return fused_from(f), align([a, b])


def copy_of(aligned, number):
    return Fused(aligned.volumes[number], None, {})


def label_in(volume):
    marked = np.zeros(volume.grid.shape, np.float32)
    marked[5:7, 28:36, 28:36] = 1
    return Volume(marked, volume.grid, "OTHER", "lesion")


def test_the_panel_is_the_default(fused, aligned):
    evaluation = evaluate(fused, aligned)
    assert [score.name for score in evaluation.scores] == list(PANEL)
    assert "foreground" in evaluation.domain
    assert evaluation.sources == ("CT", "MR") or len(evaluation.sources) == 2


def test_a_score_names_the_value_of_the_source_that_fares_worse(fused, aligned):
    score = evaluate(fused, aligned, ["qabf"])["qabf"]
    assert score.worst_source == min(score.per_source) < score.value < max(score.per_source)
    assert evaluate(fused, aligned, ["qabf:min"])["qabf:min"].value == score.worst_source


def test_the_worst_source_of_an_error_is_the_largest():
    score = Score("mse", "MSE", 2.0, (1.0, 3.0), "", "down", 0.0, "image")
    assert score.worst_source == 3.0


def test_a_copy_of_a_source_has_a_poor_harmonic_mean(fused, aligned):
    good, *copied = (
        evaluate(result, aligned, ["vifp:hm", "vifp"]) for result in (fused, copy_of(aligned, 0), copy_of(aligned, 1))
    )
    for each in copied:
        assert each["vifp"].value > good["vifp"].value  # The mean is what a copy wins.
        assert each["vifp:hm"].value < good["vifp:hm"].value


def test_the_whole_image_is_scored_on_request(fused, aligned):
    inside, whole = (evaluate(fused, aligned, ["ssim"], domain=domain)["ssim"].value for domain in ("mask", "whole"))
    assert whole > inside  # The black background is alike everywhere.


def test_a_volume_may_be_the_mask(fused, aligned):
    everything = Volume(np.ones(aligned.grid.shape, np.float32), aligned.grid, "OTHER", "all")
    chosen = evaluate(fused, aligned, ["nmi"], domain=everything)
    assert chosen["nmi"].value == pytest.approx(evaluate(fused, aligned, ["nmi"], domain="whole")["nmi"].value)
    assert "all" in chosen.domain


def test_a_volume_is_scored_in_3d_or_by_slices_and_says_so(fused, aligned):
    evaluation = evaluate(fused, aligned, ["qabf", "fmi"])
    assert evaluation["qabf"].rule == "volume"
    assert evaluation["fmi"].rule == "slices"
    assert evaluate(*triplet(synthetic()["phantom_max"]), ["qabf"])["qabf"].rule == "image"


def test_slices_are_weighted_by_foreground_and_empty_ones_left_out(aligned, fused):
    marked = np.zeros(aligned.grid.shape, np.float32)
    marked[5], marked[6, :32] = 1, 1
    marked[7, 0, 0] = 1
    mask = Volume(marked, aligned.grid, "OTHER", "two slices")
    whole = evaluate(fused, aligned, ["fmi"], domain=mask)["fmi"].value
    single = []
    for number in (5, 6):
        one = Volume(np.where(np.arange(12)[:, None, None] == number, marked, 0), aligned.grid, "OTHER")
        single.append(evaluate(fused, aligned, ["fmi"], domain=one)["fmi"].value)
    assert whole == pytest.approx((64 * 64 * single[0] + 32 * 64 * single[1]) / (64 * 96), rel=1e-9)


def test_a_label_adds_the_task_metrics(fused, aligned):
    evaluation = evaluate(fused, aligned, label=label_in(aligned))
    assert {"cnr", "auc", "cnr_retention", "auc_retention"} <= {score.name for score in evaluation.scores}
    with pytest.raises(DataError, match="label"):
        evaluate(fused, aligned, ["cnr"])


def test_surroundings_are_in_millimeters_in_a_single_slice_too():
    values = []
    for size in (1.0, 4.0):
        grid = Grid((1, 192, 176), np.diag([size, size, 5, 1]))
        a, b, f = (Volume(x[None], grid, "OTHER", unit=LEVELS) for x in synthetic()["phantom_max"])
        marked = np.zeros(grid.shape, np.float32)
        marked[0, 60:70, 60:70] = 1
        label = Volume(marked, grid, "OTHER")
        values.append(evaluate(fused_from(f), align([a, b]), ["cnr"], label=label)["cnr"].value)
    assert values[0] != values[1]


def test_color_adds_the_color_metrics():
    aligned = align([head_phantom(modality, **SMALL) for modality in ("MR", "PET")], color="hot")
    evaluation = evaluate(fuse_aligned(aligned), aligned)
    assert {"delta_e", "hue_shift"} <= {score.name for score in evaluation.scores}
    # The luminance is that of the fused image, the hue that of the PET: less than the 8 bits of the colors turn it.
    assert evaluation["hue_shift"].value < 5
    assert evaluation["delta_e"].value > 1


def test_the_published_convention_gives_the_published_columns(shared_data):
    cases = aanlib(shared_data)
    evaluation = evaluate(*triplet(cases["aan11_cddfuse"]), compat="cvpr23")
    for column, where in PUBLISHED.items():
        # The published code computes in float32.
        assert evaluation[column].value == pytest.approx(stored(*where)["aan11_cddfuse"], rel=1e-5)
    assert "8 bits" in evaluation.domain


def test_a_degenerate_result_gives_nan_with_its_reason():
    b, f = (picture(np.full((192, 176), 100, np.uint8), name) for name in "BF")
    ramp = np.tile(np.arange(176, dtype=np.uint8), (192, 1))
    evaluation = evaluate(fused_from(f), align([picture(ramp, "A"), b]), ["scd", "cc", "vifp"])
    for score in evaluation.scores:
        assert math.isnan(score.value) == bool(score.reason)


def test_an_image_too_small_for_a_metric_is_told():
    fused, aligned = triplet([image[60:68, 60:70] for image in synthetic()["phantom_max"]])
    with pytest.raises(DataError, match="at least 11 voxels"):
        evaluate(fused, aligned, ["ssim"])
    panel = evaluate(fused, aligned)
    assert math.isnan(panel["ms_ssim"].value)
    assert "at least" in panel["ms_ssim"].reason
    assert not math.isnan(panel["qabf"].value)


def test_guards_speak(aligned, fused):
    assert evaluate(fused, aligned, ["qabf"]).warnings == ()
    noisy = np.clip(fused.volume.array + np.random.default_rng(0).normal(0, 0.4, aligned.grid.shape), 0, 1)
    told = " ".join(evaluate(Fused(fused.volume.with_array(noisy), None, {}), aligned).warnings)
    assert "Nabf" in told
    assert "Q_SF" in told
    copied = " ".join(evaluate(copy_of(aligned, 0), aligned).warnings)
    assert "hardly there" in copied
    stretched = np.clip((fused.volume.array - 0.3) * 2, 0, 1)
    told = " ".join(evaluate(Fused(fused.volume.with_array(stretched), None, {}), aligned).warnings)
    assert "SD is" in told


def test_what_cannot_be_is_refused(fused, aligned):
    with pytest.raises(UnknownNameError, match="Did you mean qabf"):
        evaluate(fused, aligned, ["qabg"])
    with pytest.raises(ParameterError, match="median"):
        evaluate(fused, aligned, ["qabf:median"])
    with pytest.raises(ParameterError, match="one value for all sources"):
        evaluate(fused, aligned, ["viff:hm"])
    with pytest.raises(ParameterError):
        evaluate(fused, aligned, domain="here")
    with pytest.raises(UnknownNameError):
        evaluate(fused, aligned, compat="cvpr1999")
    with pytest.raises(DataError, match="no voxel"):
        evaluate(fused, aligned, domain=Volume(np.zeros(aligned.grid.shape), aligned.grid, "OTHER"))
    moved = np.array(aligned.grid.affine)
    moved[:3, 3] += 10
    shifted = Volume(fused.volume.array, Grid(aligned.grid.shape, moved), "OTHER")
    with pytest.raises(GeometryError):
        evaluate(fused_from(shifted), aligned)


def test_values_outside_the_range_are_refused(fused):
    with pytest.raises(DataError, match="accepted"):
        fused_from(fused.volume.with_array(fused.volume.array * 2))


def test_nan_in_a_result_is_refused(fused, aligned):
    holed = fused.volume.array.copy()
    holed[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        evaluate(Fused(fused.volume.with_array(holed), None, {}), aligned, ["en"])


def test_progress_is_told_and_can_cancel(fused, aligned):
    from MedFusionLib.errors import Cancelled

    seen = []
    evaluate(fused, aligned, ["qabf", "fmi"], progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def stop(fraction, message):
        raise Cancelled(message)

    with pytest.raises(Cancelled):
        evaluate(fused, aligned, ["qabf"], progress=stop)


def test_rows_are_flat():
    score = Score("a", "A", 1.0, (1.0, 2.0), "", "up", 1.0, "image")
    row = Evaluation((score,), ("CT", "MR"), (), "").rows()[0]
    assert row["source_1"] == 1.0
    assert row["source_2"] == 2.0
    assert score.normalized == 1.0
