"""Shearlets rebuild what they took apart, tell directions apart, and do not care where a structure lies."""

from __future__ import annotations

import math

import pytest
import torch

from MedFusionLib.registry import find_method
from MedFusionLib.transforms import filterbank, nonsubsampled, nsst, rules, shearlet3d
from Testing.unit.conftest import aligned_balls

EPS = {torch.float32: 2e-6, torch.float64: 1e-12}
"""Perfect reconstruction: a few dozen roundings of values up to 1."""

SHAPES = [(37, 41), (64, 9), (1, 5), (1, 1)]
SLOW = [(256, 256), (181, 217), (255, 64), (300, 8), *((n, 2 * n - 5) for n in range(8, 60, 17))]


def random(shape, dtype=torch.float64, batch=1, seed=0):
    return torch.rand((batch, 2, *shape), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def salient(bands):
    return rules.most_salient(bands, tuple(range(2, bands.ndim)))


def mean(band):
    return band.mean(1, keepdim=True)


def wave(size, theta, radius=0.6 * math.pi):
    """A sinusoid of this slope whose larger frequency is `radius`, on (1, 1, size, size)."""
    # Inverse of `nsst.slope`: along the first half the columns' frequency is the larger one.
    rows, columns = (4 * theta - 1, 1) if theta < 0.5 else (1, 3 - 4 * theta)
    y, x = torch.meshgrid(*[torch.arange(size, dtype=torch.float64)] * 2, indexing="ij")
    return torch.cos(radius * (rows * y + columns * x))[None, None]


def test_the_two_channel_prototypes_rebuild_everything():
    z = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    h0, g0 = nonsubsampled.h0, nonsubsampled.g0
    assert (h0(z) * g0(z) + g0(-z) * h0(-z) - 1).abs().max() < 1e-14
    ends = torch.tensor([1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(h0(ends), torch.tensor([1.0, 0.0], dtype=torch.float64))
    total = h0(z) ** 2 + g0(-z) ** 2
    assert 0.958 < total.min() < total.max() < 1.044


def test_the_finest_low_pass_is_the_published_13_by_13_filter():
    size = (32, 32)
    response = nonsubsampled.h0(nonsubsampled.pyramid_map(nonsubsampled.frequencies(size), 0))
    taps = torch.fft.fftshift(torch.fft.irfft2(response, s=size))
    assert taps[16, 16].item() == pytest.approx(0.31774201906608324, abs=1e-15)
    assert taps[10, 10].item() == pytest.approx(-7.90050e-7, abs=1e-11)
    outside = taps.clone()
    outside[10:23, 10:23] = 0
    assert outside.abs().max() < 1e-15


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("window", nsst.WINDOWS)
@pytest.mark.parametrize("shape", [*SHAPES, *(pytest.param(shape, marks=pytest.mark.slow) for shape in SLOW)])
def test_shearlets_rebuild_the_image(shape, window, dtype):
    x = random(shape, dtype)
    for margin in (0, 5):
        details, low = nsst.analyze(x, (16, 8, 5, 1), window, margin=margin)
        assert [bands.shape[2] for bands in details] == [16, 8, 5, 1]
        assert (nsst.synthesize(details, low, shape, window, margin=margin) - x).abs().max() < EPS[dtype]
    assert (nsst.fuse(x, mean, mean, window=window) - x.mean(1, keepdim=True)).abs().max() < EPS[dtype]


@pytest.mark.parametrize("window", nsst.WINDOWS)
@pytest.mark.parametrize("shape", [(64, 64), (61, 50), (7, 90)])
def test_the_frame_is_nearly_tight(shape, window):
    filters = nsst.bank(shape, window=window, dtype=torch.float64)
    total = sum(analysis**2 for analysis, _ in filterbank.bands(filters))
    assert 0.95 < total.min() < total.max() < 1.05
    whole = sum(analysis * synthesis for analysis, synthesis in filterbank.bands(filters))
    assert (whole - 1).abs().max() < 1e-13


@pytest.mark.parametrize("window", nsst.WINDOWS)
@pytest.mark.parametrize("count", [8, 16])
def test_a_sinusoid_is_strongest_in_the_band_of_its_direction(count, window):
    for k in range(count):
        (bands,), _ = nsst.analyze(wave(120, (k + 0.5) / count), (count,), window, margin=0)
        assert bands.square().sum((-2, -1)).flatten().argmax() == k


def own_share(filters):
    """For each scale, the share of its bands' energy that lies in their own wedges, edges included."""
    theta, shares = nsst.slope(*nonsubsampled.frequencies(filters.size)), []
    weight = torch.full_like(theta, 2)
    weight[:, [0, -1]] = 1
    for scale in filters.scales:
        energy, count = (scale.ring * scale.parts) ** 2 * weight, len(scale.parts)
        middle = torch.arange(count).reshape(-1, 1, 1) + 0.5
        distance = ((count * theta - middle + count / 2) % count - count / 2).abs()
        shares.append(((energy * (distance <= 0.5 + 1e-9)).sum() / energy.sum()).item())
    return shares


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("literature", [0.82, 0.61, 0.40, 0.27]),
        ("sharp", [0.91, 0.86, 0.88, 0.66]),
        ("global", [0.99, 0.99, 1.0, 1.0]),
    ],
)
def test_sharper_windows_part_the_directions_better(window, expected):
    filters = nsst.bank((256, 256), window=window, margin=0, dtype=torch.float64)
    assert own_share(filters) == pytest.approx(expected, abs=0.01)


def test_a_shifted_image_has_shifted_bands():
    x = random((40, 36))
    details, low = nsst.analyze(x, margin=0)
    moved, moved_low = nsst.analyze(x.roll((7, -5), (2, 3)), margin=0)
    for bands, expected in zip([*moved, moved_low], [*details, low], strict=True):
        assert (bands - expected.roll((7, -5), (-2, -1))).abs().max() < 1e-12


def test_the_transform_is_linear_and_takes_each_image_of_a_batch_by_itself():
    x, y = random((24, 31), batch=3), random((24, 31), batch=3, seed=1)
    every = [nsst.analyze(image, (8, 4)) for image in (x, y, 2 * x - y)]
    for a, b, c in zip(*(details for details, _ in every), strict=True):
        torch.testing.assert_close(2 * a - b, c)
    for n in range(3):
        torch.testing.assert_close(nsst.analyze(x[n : n + 1], (8, 4))[0][0], every[0][0][0][n : n + 1])


@pytest.mark.parametrize("together", [1, 3, 16])
def test_joining_band_by_band_is_joining_all_at_once(together):
    x = random((33, 40), batch=2)
    details, low = nsst.analyze(x, (8, 4, 4))
    # The directions become a batch of their own for the rule.
    joined = [salient(bands.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, -1)).transpose(1, 2) for bands in details]
    expected = nsst.synthesize(joined, mean(low), (33, 40))
    fused = nsst.fuse(x, salient, mean, (8, 4, 4), together=together)
    torch.testing.assert_close(fused, expected)


def test_gradients_flow_through_both_ways():
    x = random((16, 16)).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: nsst.analyze(y, (3,), margin=0)[0][0].sum(2), x, fast_mode=True)
    assert torch.autograd.gradcheck(lambda y: nsst.fuse(y, mean, mean, (3,), margin=2), x, fast_mode=True)


def test_a_bank_made_while_fusing_serves_training_too():
    x = random((19, 23), torch.float32)
    with torch.inference_mode():
        nsst.fuse(x, mean, mean, (5, 3))
    x.requires_grad_()
    nsst.fuse(x, mean, mean, (5, 3)).square().sum().backward()
    assert x.grad.abs().max() > 0


def test_directions_follow_the_literature():
    assert nsst.directions_of(4, 16) == nsst.DIRECTIONS == (16, 16, 8, 8)
    assert nsst.directions_of(1, 4) == (4,)


@pytest.mark.parametrize("count", [45, 64, 96, 105, 321])
def test_fast_sizes_are_even_and_have_small_factors(count):
    size = filterbank.fast(count)
    assert count <= size <= 1.1 * count + 2
    assert size % 2 == 0
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    assert size == 1


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize(
    ("shape", "slopes"),
    [
        ((1, 1, 1), 1),
        ((7, 20, 9), 2),
        ((70, 5, 6), 1),
        pytest.param((70, 66, 5), 2, marks=pytest.mark.slow),
        pytest.param((7, 20, 9), 4, marks=pytest.mark.slow),
    ],
)
def test_shearlets_of_a_volume_rebuild_it(shape, slopes, dtype):
    x = random(shape, dtype)[:, :1]
    assert (shearlet3d.fuse(x.expand(-1, 2, *shape), mean, mean, 2, slopes) - x).abs().max() < EPS[dtype]


@pytest.mark.parametrize("slopes", [2, 4])
def test_the_frame_of_a_volume_is_nearly_tight(slopes):
    filters = shearlet3d.bank((24, 20, 30), 2, slopes, torch.float64, torch.device("cpu"))
    assert len(filters.scales[0].parts) == 3 * slopes**2
    total = sum(analysis**2 for analysis, _ in filterbank.bands(filters))
    assert 0.95 < total.min() < total.max() < 1.05


@pytest.mark.parametrize("slopes", [2, 4])
def test_a_plane_wave_is_strongest_in_the_band_of_its_direction(slopes):
    filters = shearlet3d.bank((40, 40, 40), 1, slopes, torch.float64, torch.device("cpu"))
    scale, middle = filters.scales[0], [(2 * k + 1) / slopes - 1 for k in range(slopes)]
    waves = [(axis, one, two) for axis in range(3) for one in middle for two in middle]
    for number, (axis, *slope) in enumerate(waves):
        slope.insert(axis, 1.0)
        # 12 of 40 is 0.6 pi; of w and -w the half of the spectrum that is kept has one.
        sign = 1 if slope[2] > 0 else -1
        z, y, x = (round(12 * sign * s) for s in slope)
        assert (scale.ring * scale.parts)[:, z, y, x].argmax() == number


def test_a_slab_of_a_volume_meets_the_same_tiles():
    # Long enough that a slab sees neither end.
    entry = find_method("shearlet3d")
    parameters = entry.checked({"directions": "3", "levels": 1})
    reach, stride = entry.reach_of(parameters), entry.stride_of(parameters)
    volumes = [volume.array for volume in aligned_balls((450, 7, 6)).volumes]
    sources = torch.stack([torch.tensor(array) for array in volumes])[None]
    whole = entry.function(sources, **parameters)
    start, stop = 3 * stride, 4 * stride
    first, last = (start - reach) // stride * stride, stop + reach
    assert first > 0
    assert last < 450
    slab = entry.function(sources[:, :, first:last], **parameters)
    assert torch.equal(slab[:, :, start - first : stop - first], whole[:, :, start:stop])


def test_tiles_leave_no_seam(monkeypatch):
    volumes = [volume.array for volume in aligned_balls((90, 12, 10)).volumes]
    sources = torch.stack([torch.tensor(array) for array in volumes])[None]
    tiled = shearlet3d.fuse(sources, salient, mean)
    monkeypatch.setattr(shearlet3d, "CORE", 96)
    difference = (shearlet3d.fuse(sources, salient, mean) - tiled).abs()
    # What lies beyond the halo decides a few choices between nearly equal coefficients; that is all.
    assert difference.mean() < 2e-4
    assert (difference > 0.01).float().mean() < 1e-3


def test_a_large_volume_tells_its_progress_direction_by_direction_of_each_tile():
    told = []
    sources = random((130, 6, 5), torch.float32)
    shearlet3d.fuse(sources, mean, mean, 1, 1, told.append)
    # Three tiles with three directions each.
    assert told == pytest.approx([n / 9 for n in range(1, 10)])
