"""Methods side by side: every result with its scores and rank, errors beside results, one picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from MedFusionLib.compare import compare
from MedFusionLib.errors import Cancelled, DataError, UnknownNameError
from MedFusionLib.harmonize import align
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse_aligned
from MedFusionLib.preview import slice_of
from MedFusionLib.scoring import evaluate


@pytest.fixture(scope="module")
def aligned():
    volumes = [head_phantom(modality, shape=(6, 60, 52), spacing=(3.5, 3.5, 20)) for modality in ("CT", "MR")]
    return slice_of(align(volumes), 0, 3)


@pytest.fixture(scope="module")
def comparison(aligned):
    return compare(aligned, ["average", "laplacian", "two_scale"], metrics=["qabf", "nmi:hm", "sd"])


def test_each_result_is_that_of_the_method_alone(aligned, comparison):
    alone = fuse_aligned(aligned, method="laplacian")
    found = comparison.results[1]
    assert found.method == "laplacian"
    np.testing.assert_array_equal(found.fused.volume.array, alone.volume.array)
    assert found.evaluation["qabf"].value == evaluate(alone, aligned, ["qabf"])["qabf"].value


def test_rows_come_the_best_first_and_ranks_are_means_over_the_metrics(comparison):
    rows = comparison.rows()
    ranks = [row["mean_rank"] for row in rows]
    assert ranks == sorted(ranks)
    # sd only describes an image, so two metrics give the ranks.
    values = np.array([[each.evaluation[name].value for name in ("qabf", "nmi:hm")] for each in comparison.results])
    expected = (-values).argsort(0).argsort(0).mean(1) + 1
    assert [each.mean_rank for each in comparison.results] == pytest.approx(expected)
    assert {"method", "title", "seconds", "qabf", "nmi:hm", "sd", "note"} <= rows[0].keys()


def test_a_method_that_cannot_is_told_and_the_others_go_on(aligned, monkeypatch):
    def refusing(aligned, *, method, **others):
        if method == "average":
            raise DataError("Sources", found=2, accepted="3")
        return fuse_aligned(aligned, method=method, **others)

    monkeypatch.setattr("MedFusionLib.compare.fuse_aligned", refusing)
    comparison = compare(aligned, ["average", "laplacian"], metrics=["qabf"])
    refused, done = comparison.results
    assert refused.fused is None
    assert math.isnan(refused.mean_rank)
    assert "accepted: 3" in str(refused.error) or "3" in str(refused.error)
    assert done.mean_rank == 1
    assert comparison.rows()[-1]["note"]


def test_bad_choices_are_refused_before_any_work(aligned):
    with pytest.raises(DataError, match="two or more"):
        compare(aligned, ["laplacian"])
    with pytest.raises(DataError, match="different"):
        compare(aligned, ["laplacian", "laplacian"])

    def never(fraction, message):
        raise AssertionError(message)

    with pytest.raises(UnknownNameError):
        compare(aligned, ["laplacian", "no such"], progress=never)


def test_progress_rises_and_cancel_ends_it(aligned):
    told = []
    compare(aligned, ["average", "laplacian"], metrics=["qabf"], progress=lambda *report: told.append(report))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert told[0][1].startswith("Average")

    def cancel(fraction, message):
        raise Cancelled(message)

    with pytest.raises(Cancelled):
        compare(aligned, ["average", "laplacian"], progress=cancel)


def test_the_picture_shows_sources_and_results_five_abreast(aligned, comparison):
    few = comparison.picture()
    names = ["average", "laplacian", "two_scale", "maximum"]
    many = compare(aligned, names, metrics=["qabf"]).picture()
    assert few.width == many.width
    assert many.height == 2 * few.height
    assert np.asarray(few).std() > 10
