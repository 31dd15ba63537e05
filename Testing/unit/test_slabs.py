"""Piecewise work: a slab gives what the whole gives, memory retreats, progress and cancel reach every slab."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MedFusionLib import slabs
from MedFusionLib.device import find_device
from MedFusionLib.errors import Cancelled, OutOfMemoryError
from MedFusionLib.registry import Method, list_methods
from MedFusionLib.slabs import Run, Sources, covariance
from Testing.unit.conftest import aligned_balls

METHODS = list_methods()

# Small enough that the overlap of two slabs does not cover the volume, so that a wrong reach would show.
SMALL = {
    "dwt": {"levels": 2},
    "guided": {"radius_base": 6, "radius_detail": 3},
    "laplacian": {"levels": 2},
    "two_scale": {"sigma": 1.5},
}


def sources_of(aligned):
    fields = None if aligned.fields.all() else tuple(aligned.fields)
    return Sources(tuple(v.array for v in aligned.volumes), fields, aligned.mask, aligned.reference)


def run(method, aligned, parameters=None, volumetric=True, progress=None, notes=None):
    sources = sources_of(aligned)
    parameters = method.checked(parameters or {})
    handed = {"moments": torch.from_numpy(covariance(sources))} if "moments" in method.needs else {}
    result = aligned.volumes[0].array.copy()
    notes = [] if notes is None else notes
    Run(method, parameters, handed, volumetric, find_device("cpu"), notes)(sources, result, progress)
    return result


def method_of(function, **facts):
    facts = {"title": "Test", "family": "transform", "dims": (2, 3), "sources": (2, None), "reference": "test"} | facts
    return Method(function, **facts)


def with_slabs_of(monkeypatch, slices):
    monkeypatch.setattr(
        Run, "_first_core", lambda self, sources: max(self._stride, slices // self._stride * self._stride)
    )


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", METHODS)
def test_a_slab_run_equals_the_whole_run(name, count, monkeypatch):
    entry = METHODS[name]
    if 3 not in entry.dims:
        pytest.skip("not a 3-D method")
    aligned = aligned_balls((93, 20, 17), count)
    with_slabs_of(monkeypatch, 93)
    whole = run(entry, aligned, SMALL.get(name))
    with_slabs_of(monkeypatch, 8)
    # The demand is 1e-6; sums in float64 (guided, pca) leave a rounding of the float32 result, all else is equal.
    assert np.abs(run(entry, aligned, SMALL.get(name)) - whole).max() < 1e-7


@pytest.mark.parametrize("name", METHODS)
def test_the_declared_reach_is_enough_at_the_defaults(name):
    # A change of one voxel must not reach further than declared.
    entry = METHODS[name]
    if 3 not in entry.dims:
        pytest.skip("not a 3-D method")
    parameters = entry.checked({})
    reach, stride = entry.reach_of(parameters), entry.stride_of(parameters)
    length = 2 * (reach // stride + 2) * stride
    aligned = aligned_balls((length, 6, 5))
    handed = {"moments": torch.eye(2, dtype=torch.float64)} if "moments" in entry.needs else {}
    values = torch.from_numpy(np.stack([volume.array for volume in aligned.volumes]))[None]
    changed = values.clone()
    changed[:, :, length // 2] = 1 - changed[:, :, length // 2]
    difference = (
        entry.function(values, **parameters, **handed) - entry.function(changed, **parameters, **handed)
    ).abs()
    moved = np.flatnonzero(difference[0, 0].amax((1, 2)) > 1e-7)
    assert moved.size
    assert length // 2 - moved.min() <= reach
    assert moved.max() - length // 2 <= reach


def test_slabs_start_where_the_stride_allows(monkeypatch):
    def blocks(sources):
        """Means of blocks of four slices: what decimation does to phase."""
        means = torch.nn.functional.avg_pool3d(sources.mean(1, keepdim=True), (4, 1, 1), ceil_mode=True)
        return means.repeat_interleave(4, 2)[:, :, : sources.shape[2]]

    entry = method_of(blocks, reach=3, stride=4)
    aligned = aligned_balls((30, 20, 17))
    with_slabs_of(monkeypatch, 30)
    whole = run(entry, aligned)
    with_slabs_of(monkeypatch, 8)
    np.testing.assert_allclose(run(entry, aligned), whole, atol=1e-7)


def test_the_first_source_that_has_data_speaks_for_the_others():
    fields = np.ones((3, 24, 32, 28), bool)
    fields[0, 12:] = False
    fields[1:, :12] = False
    aligned = aligned_balls(count=3, fields=fields)
    values = sources_of(aligned).slab(0, 24)
    for k in range(3):
        np.testing.assert_array_equal(values[k, :12], aligned.volumes[0].array[:12])
    np.testing.assert_array_equal(values[0, 12:], aligned.volumes[1].array[12:])


@pytest.mark.parametrize("name", METHODS)
def test_where_one_source_only_has_data_the_result_is_that_source(name):
    fields = np.ones((2, 24, 32, 28), bool)
    fields[1, :, :, :14] = False
    fields[0, 10:12, 20:24, 20:24] = False
    aligned = aligned_balls(fields=fields)
    fused = run(METHODS[name], aligned, volumetric=3 in METHODS[name].dims)
    for k in range(2):
        lone = fields[k] & ~fields[1 - k] & aligned.mask
        np.testing.assert_array_equal(fused[lone], aligned.volumes[k].array[lone])


def test_the_equality_notices_a_reach_that_is_too_small(monkeypatch):
    entry = METHODS["laplacian"]
    short = method_of(entry.function, reach=2, stride=entry.stride)
    aligned = aligned_balls((93, 20, 17))
    with_slabs_of(monkeypatch, 93)
    whole = run(short, aligned, {"levels": 2})
    with_slabs_of(monkeypatch, 8)
    assert np.abs(run(short, aligned, {"levels": 2}) - whole).max() > 1e-3


def test_slices_are_fused_one_by_one():
    entry = METHODS["laplacian"]
    aligned = aligned_balls()
    fused = run(entry, aligned, volumetric=False)
    alone = entry.function(torch.from_numpy(np.stack([v.array[12] for v in aligned.volumes]))[None])[0, 0].numpy()
    inside = aligned.mask[12]
    np.testing.assert_array_equal(fused[12][inside], np.clip(alone, 0, 1)[inside])


def test_outside_the_foreground_the_reference_is_kept():
    aligned = aligned_balls()
    fused = run(method_of(lambda sources: torch.ones_like(sources[:, :1])), aligned)
    np.testing.assert_array_equal(fused[~aligned.mask], aligned.volumes[0].array[~aligned.mask])
    assert (fused[aligned.mask] == 1).all()


def test_a_source_without_data_takes_the_values_of_one_that_has():
    fields = np.ones((2, 24, 32, 28), bool)
    fields[1, :, :, :14] = False
    aligned = aligned_balls(fields=fields)
    fused = run(METHODS["average"], aligned)
    first, second = (volume.array for volume in aligned.volumes)
    np.testing.assert_array_equal(fused[:, :, :14], first[:, :, :14])
    np.testing.assert_allclose(fused[:, :, 14:], (first + second)[:, :, 14:] / 2, atol=1e-7)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory"), MemoryError()]
)
def test_running_out_of_memory_halves_the_slab_and_is_told(error, monkeypatch):
    seen = []

    def greedy(sources):
        seen.append(sources.shape[2])
        if sources.shape[2] > 6:
            raise error
        return sources.mean(1, keepdim=True)

    with_slabs_of(monkeypatch, 24)
    notes = []
    aligned = aligned_balls()
    fused = run(method_of(greedy), aligned, notes=notes)
    np.testing.assert_array_equal(fused, run(METHODS["average"], aligned))
    assert seen[:3] == [24, 12, 6]
    assert [note.split()[-2] for note in notes] == ["12", "6"]


def test_when_the_smallest_slab_does_not_fit_the_error_says_what_to_do(monkeypatch):
    def hopeless(sources):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemoryError, match=r"1 slice\(s\).*coarser spacing"):
        run(method_of(hopeless), aligned_balls())


def test_when_an_accelerator_is_too_small_the_cpu_goes_on(monkeypatch):
    notes = []
    aligned = aligned_balls()
    parameters, result = {}, aligned.volumes[0].array.copy()

    def only_on_cpu(sources):
        if sources.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return sources.mean(1, keepdim=True)

    # "meta" stands for an accelerator that this machine need not have.
    monkeypatch.setattr(slabs, "free_bytes", lambda device: 2**30)
    job = Run(method_of(only_on_cpu), parameters, {}, True, torch.device("meta"), notes)
    job(sources_of(aligned), result)
    assert job.device.type == "cpu"
    assert notes[-1] == "Memory ran out on meta: went on on the CPU"
    np.testing.assert_array_equal(result, run(METHODS["average"], aligned))


def test_what_is_handed_over_survives_the_way_to_the_cpu(monkeypatch):
    # The covariance stays on the CPU, so PCA works wherever its sources are.
    aligned = aligned_balls()
    monkeypatch.setattr(slabs, "free_bytes", lambda device: 2**30)
    moments = torch.from_numpy(covariance(sources_of(aligned)))
    values = torch.zeros((1, 2, 4, 4), device="meta")
    assert METHODS["pca"].function(values, moments=moments).device.type == "meta"


def test_any_other_failure_of_a_method_is_not_taken_for_memory():
    def broken(sources):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(method_of(broken), aligned_balls())


def test_slabs_are_sized_from_the_free_memory(monkeypatch):
    aligned = aligned_balls((96, 20, 17))
    sources = sources_of(aligned)
    entry = METHODS["laplacian"]
    job = Run(entry, entry.checked({"levels": 1}), {}, True, find_device("cpu"), [])
    slice_bytes = 4 * 2 * 20 * 17 * (1 + entry.workspace)
    for free_slices, expected in ((1000, 96), (2 * 50, 30), (1, 2)):
        monkeypatch.setattr(slabs, "free_bytes", lambda device, n=free_slices: n * slice_bytes)
        # Half of the free memory, less the overlap of 10 on both sides, in whole strides of 2.
        assert job._first_core(sources) == expected


def test_progress_runs_from_0_to_1_and_names_the_method(monkeypatch):
    with_slabs_of(monkeypatch, 8)
    told = []
    run(METHODS["average"], aligned_balls(), progress=lambda fraction, message: told.append((fraction, message)))
    assert [round(fraction, 3) for fraction, _ in told] == [0, 0.333, 0.667, 1]
    assert all("Average" in message for _, message in told)


def test_cancel_stops_within_one_slab(monkeypatch):
    with_slabs_of(monkeypatch, 8)
    pieces = []

    def counted(sources):
        pieces.append(sources.shape[2])
        return sources.mean(1, keepdim=True)

    def stop(fraction, message):
        if fraction > 0:
            raise Cancelled("a third")

    with pytest.raises(Cancelled, match="a third"):
        run(method_of(counted), aligned_balls(), progress=stop)
    assert pieces == [8]


def test_the_mask_is_cut_with_the_sources(monkeypatch):
    with_slabs_of(monkeypatch, 8)

    def shows_mask(sources, *, mask):
        assert mask.dtype == torch.bool
        return mask.to(sources.dtype).expand_as(sources[:, :1])

    aligned = aligned_balls()
    for volumetric in (True, False):
        fused = run(method_of(shows_mask), aligned, volumetric=volumetric)
        np.testing.assert_array_equal(fused, aligned.mask.astype(np.float32))


def test_covariance_is_that_of_the_foreground():
    aligned = aligned_balls(count=3)
    values = np.stack([volume.array[aligned.mask] for volume in aligned.volumes]).astype(float)
    np.testing.assert_allclose(covariance(sources_of(aligned)), np.cov(values, bias=True), atol=1e-12)


def test_values_cut_off_at_the_ends_are_counted():
    aligned = aligned_balls()
    job = Run(method_of(lambda sources: 3 * sources[:, :1] - 1), {}, {}, True, find_device("cpu"), [])
    job(sources_of(aligned), aligned.volumes[0].array.copy())
    raw = 3 * aligned.volumes[0].array - 1
    assert job.clipped == ((raw < 0) | (raw > 1))[aligned.mask].sum()
