"""What every fusion method promises, run over the whole registry: a new method is tested by being there."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import FAMILIES, list_methods

ROOT = Path(__file__).parents[2]
METHODS = list_methods()
CASES = [(name, dims) for name, entry in METHODS.items() for dims in entry.dims]
SHAPES = {2: (40, 33), 3: (18, 20, 23)}


def images(shape, count=2, batch=2, seed=0, dtype=torch.float32):
    """Smooth random images in [0, 1] with exact black and white in them."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand((batch, count, *shape), generator=generator, dtype=torch.float64)
    smooth = noise
    for axis in range(2, noise.ndim):
        smooth = (smooth + smooth.roll(1, axis) + smooth.roll(-1, axis)) / 3
    low, high = smooth.amin(), smooth.amax()
    return ((smooth - low) / (high - low)).to(dtype)


def comes_back(entry, fused, one):
    """Whether identical sources come back.

    Float32 with a few dozen additions a voxel: 64 units in the last place of 1. What was learned states its own, as a
    mean: these are no images that a network has seen, and single voxels of them say nothing.
    """
    difference = (fused - one).abs()
    if entry.tolerance is not None:
        return difference.mean() < entry.tolerance
    return difference.max() < 64 * torch.finfo(torch.float32).eps


def ends_of(entry):
    """Parameter sets at both ends of every bound, and at every choice."""
    for name, parameter in entry.parameters.items():
        if isinstance(parameter.bounds, Range):
            yield {name: parameter.kind(parameter.bounds.low)}
            yield {name: parameter.kind(parameter.bounds.high)}
        elif isinstance(parameter.bounds, Choice):
            yield from ({name: option} for option in parameter.bounds.options)


@pytest.mark.parametrize("name", METHODS)
def test_facts_are_complete_and_the_file_is_named_like_the_function(name):
    entry = METHODS[name]
    assert Path(inspect.getfile(entry.function)).stem == name
    assert entry.family in FAMILIES
    assert entry.title
    assert entry.reference
    assert entry.summary.endswith(".")
    assert set(entry.dims) <= {2, 3}
    assert all(parameter.help and parameter.bounds is not None for parameter in entry.parameters.values())
    assert entry.checked({}) == {
        key: parameter.checked(parameter.default) for key, parameter in entry.parameters.items()
    }


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_shape_dtype_and_device_are_kept(name, dims):
    for dtype in (torch.float32, torch.float64):
        sources = images(SHAPES[dims], dtype=dtype)
        fused = METHODS[name].function(sources)
        assert fused.shape == (2, 1, *SHAPES[dims])
        assert fused.dtype == dtype
        assert fused.device == sources.device


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_result_is_finite_at_both_ends_of_every_parameter(name, dims):
    sources = images(SHAPES[dims])
    for parameters in ends_of(METHODS[name]):
        assert METHODS[name].function(sources, **parameters).isfinite().all(), parameters


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_a_second_run_gives_the_same_bits_and_leaves_the_sources_alone(name, dims):
    sources = images(SHAPES[dims])
    before = sources.clone()
    first = METHODS[name].function(sources)
    assert torch.equal(first, METHODS[name].function(sources))
    assert torch.equal(sources, before)


@pytest.mark.parametrize(("name", "dims"), CASES)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_identical_sources_come_back(name, dims, count):
    entry = METHODS[name]
    one = images(SHAPES[dims], count=1)
    if entry.sources[1] is not None and count > entry.sources[1]:
        pytest.skip("takes fewer sources; the pipeline folds")
    fused = entry.function(one.expand(-1, count, *SHAPES[dims]).contiguous())
    assert comes_back(entry, fused, one)


@pytest.mark.parametrize(("name", "dims"), [case for case in CASES if METHODS[case[0]].keeps_lone])
@pytest.mark.parametrize("blank", [0, 1])
def test_a_blank_source_gives_the_other_back(name, dims, blank):
    sources = images(SHAPES[dims])
    sources[:, blank] = 0
    fused = METHODS[name].function(sources)
    assert (fused - sources[:, 1 - blank : 2 - blank]).abs().max() < 64 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_constant_sources_give_a_constant(name, dims):
    # Two flat images: nothing may be invented between their values, and nothing may blow up where variance is zero.
    sources = torch.full((1, 2, *SHAPES[dims]), 0.25)
    sources[:, 1] = 0.75
    entry = METHODS[name]
    fused = entry.function(sources)
    assert fused.isfinite().all()
    assert fused.max() - fused.min() < entry.ripple
    assert fused.min() > 0.25 - max(1e-5, entry.tolerance or 0)
    assert fused.max() < 0.75 + max(1e-5, entry.tolerance or 0)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 9), (2, 3), (5, 1), (7, 64), (1, 1, 1), (2, 1, 3), (1, 12, 9), (3, 5, 2)]
)
def test_odd_and_tiny_sizes_work(name, shape):
    entry = METHODS[name]
    if len(shape) not in entry.dims:
        pytest.skip(f"not a method of {len(shape)} dimensions")
    one = images((8,) * len(shape), count=1)[(..., *(slice(n) for n in shape))]
    if min(one.shape[2:]) == 0 or one.shape[2:] != shape:
        one = torch.rand((2, 1, *shape), generator=torch.Generator().manual_seed(1))
    fused = entry.function(torch.cat([one, one], 1))
    assert fused.shape == one.shape
    # A few pixels of noise are nothing that a network could know.
    assert fused.isfinite().all() if entry.model else comes_back(entry, fused, one)


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_each_image_of_a_batch_is_fused_by_itself(name, dims):
    sources = images(SHAPES[dims], batch=3)
    together = METHODS[name].function(sources)
    apart = torch.cat([METHODS[name].function(image[None]) for image in sources])
    assert (together - apart).abs().max() < 8 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize(("name", "dims"), [case for case in CASES if METHODS[case[0]].differentiable])
def test_gradients_flow_to_every_source(name, dims):
    sources = images(SHAPES[dims], dtype=torch.float64).requires_grad_()
    METHODS[name].function(sources).sum().backward()
    assert sources.grad is not None
    assert sources.grad.isfinite().all()
    assert (sources.grad.abs().amax(dim=tuple(range(2, 2 + dims))) > 0).all()


@pytest.mark.parametrize(("name", "dims"), [case for case in CASES if "progress" in METHODS[case[0]].needs])
def test_a_method_that_tells_its_progress_can_be_stopped_by_it(name, dims):
    class StopError(Exception):
        pass

    def stop(share):
        raise StopError

    sources, told = images(SHAPES[dims]), []
    METHODS[name].function(sources, progress=told.append)
    assert len(told) > 1
    assert told == sorted(told)
    assert told[0] < told[-1] <= 1
    with pytest.raises(StopError):
        METHODS[name].function(sources, progress=stop)


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "dims"), CASES)
def test_a_second_run_on_the_gpu_gives_the_same_bits(name, dims):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    sources = images(SHAPES[dims]).cuda()
    assert torch.equal(METHODS[name].function(sources), METHODS[name].function(sources))


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "dims"), CASES)
def test_the_gpu_gives_what_the_cpu_gives(name, dims):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    sources = images(SHAPES[dims])
    # Choices between nearly equal coefficients may fall differently for single voxels; their effect is bounded.
    difference = (METHODS[name].function(sources.cuda()).cpu() - METHODS[name].function(sources)).abs()
    assert difference.median() < 1e-6
    assert (difference > 1e-4).float().mean() < 1e-3


PEAK = """
import sys, torch
from Testing.peak import peak_bytes
from MedFusionLib.registry import find_method
torch.set_num_threads(2)
entry, count, dims = find_method(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sources = torch.rand((1, count, 90, 160, 160) if dims == 3 else (8, count, 256, 256))
small = sources[(..., *[slice(20)] * dims)]
with torch.inference_mode():
    entry.function(small)
    before = peak_bytes()
    entry.function(sources)
print((peak_bytes() - before) / (4 * sources.numel()))
"""


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "dims"),
    [case if case[0] == "laplacian" else pytest.param(*case, marks=pytest.mark.slow) for case in CASES],
)
def test_the_declared_workspace_is_enough(name, dims, count):
    # Slabs are sized by it: a method that takes more than it says could run out of memory.
    if METHODS[name].sources[1] is not None and count > METHODS[name].sources[1]:
        pytest.skip("takes fewer sources; the pipeline folds")
    command = [sys.executable, "-c", PEAK, name, str(count), str(dims)]
    measured = float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
    # The allocator may keep a little more than is in use.
    assert measured <= 1.1 * METHODS[name].workspace
