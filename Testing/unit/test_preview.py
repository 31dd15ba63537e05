"""A slice fused live: it shows what the volume will, the newest request wins, errors reach the front end."""

from __future__ import annotations

import time

import numpy as np
import pytest

from MedFusionLib.errors import DataError, GeometryError, UnknownNameError
from MedFusionLib.harmonize import align
from MedFusionLib.phantom import head_phantom
from MedFusionLib.pipeline import fuse, fuse_aligned
from MedFusionLib.preview import Preview, index_along, slice_of

SOON = 30
"""Seconds that a slice may take on a busy machine."""


@pytest.fixture(scope="module")
def volumes():
    return [head_phantom(modality, shape=(6, 40, 36), spacing=(5, 5, 20)) for modality in ("CT", "MR")]


@pytest.fixture
def preview(volumes):
    preview = Preview(volumes, device="cpu")
    yield preview
    preview.close()


def place(volume, axis, index):
    """RAS mm of the middle of a slice."""
    center = [(n - 1) / 2 for n in volume.grid.shape]
    center[axis] = index
    return (volume.grid.affine @ (*center[::-1], 1))[:3]


def answered(preview, count=1):
    """The next answer."""
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        shown = preview.take()
        if shown is not None:
            return shown
        time.sleep(0.005)
    raise AssertionError("no answer")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_of_aligned_volumes_lies_where_the_volume_has_it(volumes, axis):
    aligned = align(volumes)
    cut = slice_of(aligned, axis, 3)
    assert cut.grid.shape[axis] == 1
    assert index_along(aligned.grid, axis, cut.grid.corners.mean(0)) == 3
    np.testing.assert_array_equal(cut.volumes[1].array.take(0, axis), aligned.volumes[1].array.take(3, axis))
    np.testing.assert_array_equal(cut.mask.take(0, axis), aligned.mask.take(3, axis))
    with pytest.raises(GeometryError, match="Slice"):
        slice_of(aligned, axis, aligned.grid.shape[axis])


def test_the_preview_is_the_slice_of_the_result(volumes, preview):
    preview.ask(place(volumes[0], 0, 2), axis=0, method="laplacian", parameters={"levels": 2})
    shown = answered(preview)
    whole = fuse(volumes, method="laplacian", parameters={"levels": 2}, plane="axial", device="cpu")
    assert shown.error is None
    np.testing.assert_array_equal(shown.fused.volume.array[0], whole.volume.array[2])
    np.testing.assert_array_equal(shown.source.array[0], align(volumes).volumes[0].array[2])
    assert shown.seconds_volume == pytest.approx(6 * shown.seconds)


def test_the_newest_request_wins_and_none_queue_up(volumes, preview, monkeypatch):
    fused = []

    def slow(aligned, *, method, **others):
        fused.append(method)
        time.sleep(0.2)
        return fuse_aligned(aligned, method=method, **others)

    monkeypatch.setattr("MedFusionLib.preview.fuse_aligned", slow)
    at = place(volumes[0], 0, 2)
    preview.ask(at, method="average")
    while not fused:
        time.sleep(0.005)
    for method in ("maximum", "weighted", "laplacian"):
        preview.ask(at, method=method)
    while (shown := answered(preview)).method != "laplacian":
        pass
    assert fused == ["average", "laplacian"]
    assert shown.error is None
    assert not preview.busy


def test_a_request_that_is_outdated_stops_where_it_reports(volumes, preview, monkeypatch):
    stopped = []

    def endless(aligned, *, method, progress, **others):
        if method == "laplacian":
            return fuse_aligned(aligned, method=method, progress=progress, **others)
        for _ in range(SOON * 100):
            try:
                progress(0.5, "working")
            except Exception as error:
                stopped.append(type(error).__name__)
                raise
            time.sleep(0.01)
        raise AssertionError("never stopped")

    monkeypatch.setattr("MedFusionLib.preview.fuse_aligned", endless)
    at = place(volumes[0], 0, 2)
    preview.ask(at, method="average")
    time.sleep(0.3)
    preview.ask(at, method="laplacian")
    assert answered(preview).method == "laplacian"
    assert stopped == ["Cancelled"]


def test_what_goes_wrong_is_an_answer_and_the_next_request_is_served(volumes, preview):
    preview.ask(place(volumes[0], 0, 2), method="no such method")
    assert isinstance(answered(preview).error, UnknownNameError)
    preview.ask((*place(volumes[0], 0, 2)[:2], 1000.0), method="laplacian")
    assert isinstance(answered(preview).error, GeometryError)
    preview.ask(place(volumes[0], 0, 2), method="laplacian")
    assert answered(preview).error is None


def test_volumes_that_cannot_be_aligned_are_an_answer_too(volumes):
    preview = Preview([volumes[0], volumes[1].with_array(np.ones_like(volumes[1].array))])
    preview.ask(place(volumes[0], 0, 2))
    assert isinstance(answered(preview).error, DataError)
    preview.close()
