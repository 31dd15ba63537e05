"""What every metric promises, run over the whole registry: a new metric is tested by being there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from MedFusionLib.errors import DataError, ParameterError
from MedFusionLib.registry import GAMES, list_metrics
from Testing.reference.values import synthetic, tensors

METRICS = list_metrics()
PLAIN = [name for name, metric in METRICS.items() if metric.family not in ("task", "color")]
SPATIAL = [name for name in METRICS if 3 in METRICS[name].dims]

# Float64 over 3e4 voxels; sums in another order differ by no more than this.
SAME = {"rtol": 1e-9, "atol": 1e-10, "equal_nan": True}


def textured(*size, sources=2, seed=0):
    """Fused (1, 1, *S) and sources (1, K, *S): smooth structure with noise, well inside [0, 1]."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(0, 3, n) for n in size], indexing="ij")
    images = [0.5 + 0.25 * np.sin((k + 1) * sum(axes) + k) * np.cos((k + 2) * axes[-1]) for k in range(sources)]
    images = torch.from_numpy(np.stack(images) + 0.03 * rng.standard_normal((sources, *size))).clamp(0, 1)
    return (0.9 * images.mean(0) + 0.04)[None, None], images[None]


def extras(metric, fused, sources):
    """What some metrics ask for: a label in the middle, colors."""
    given = {}
    if "label" in metric.needs:
        label = torch.zeros(fused.shape, dtype=torch.bool)
        middle = tuple(slice(n // 2 - max(1, n // 8), n // 2 + max(1, n // 8)) for n in fused.shape[2:])
        label[(..., *middle)] = True
        given["label"] = label
    if "fused_rgb" in metric.needs:
        given["source_rgb"] = torch.cat([sources[:, :1], sources[:, :1] ** 2, 1 - sources[:, :1]], 1)
        given["fused_rgb"] = torch.cat([fused, fused**2, 1 - fused], 1)
    return given


def scored(name, fused, sources, mask=None, **options):
    metric = METRICS[name]
    return metric(fused, sources, mask, **(extras(metric, fused, sources) | options))


def sizes(name):
    flat = (48, 56)
    return [flat, (max(16, METRICS[name].smallest), *flat)] if 3 in METRICS[name].dims else [flat]


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_tells_what_it_is(name):
    metric = METRICS[name]
    assert metric.summary.endswith(".")
    assert metric.title
    assert metric.reference
    assert set(metric.gamed_by) <= set(GAMES)
    assert metric.function.__module__.endswith(f".{name}")


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("sources", [1, 2, 3])
def test_a_score_is_one_number_an_image(name, sources):
    for size in sizes(name):
        fused, images = textured(*size, sources=sources)
        found = scored(name, fused, images)
        assert found.shape == (1,)
        assert found.dtype == torch.float64
        assert torch.isfinite(found).all()


@pytest.mark.parametrize("name", METRICS)
def test_a_batch_is_scored_as_its_images_are(name):
    pairs = [textured(48, 56, seed=seed) for seed in (1, 2)]
    mask = torch.zeros(2, 1, 48, 56, dtype=torch.bool)
    mask[0, :, 4:40, 4:50] = True
    mask[1, :, 10:48, 2:] = True
    fused, sources = (torch.cat(images) for images in zip(*pairs, strict=True))
    together = scored(name, fused, sources, mask)
    alone = torch.cat([scored(name, *pair, mask[n : n + 1]) for n, pair in enumerate(pairs)])
    torch.testing.assert_close(together, alone, **SAME)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("sources", [1, 2, 3])
def test_identical_images_give_the_stated_value(name, sources):
    metric = METRICS[name]
    if not isinstance(metric.identical, float):
        pytest.skip(f"{name} of identical images is {metric.identical}")
    for size in sizes(name):
        image, _ = textured(*size)
        found = float(scored(name, image, image.repeat(1, sources, *[1] * len(size))))
        # VIF's constants in the quotient (1e-10, 1e-7) leave it that far from 1.
        assert found == pytest.approx(metric.identical, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("name", PLAIN)
def test_a_flat_result_gives_the_stated_value(name):
    metric = METRICS[name]
    if not isinstance(metric.flat, float):
        pytest.skip(f"{name} of a flat result is {metric.flat}")
    for size in sizes(name):
        fused, sources = textured(*size)
        found = float(scored(name, torch.full_like(fused, 0.5), sources))
        assert found == pytest.approx(metric.flat, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("case", ["flat_all", "zeros_all", "flat_fused", "one_zero_source", "phantom_copyA"])
def test_a_degenerate_image_gives_a_number_or_a_stated_nan(name, case):
    metric = METRICS[name]
    fused, sources = tensors(synthetic()[case])
    for mask in (None, torch.ones_like(fused, dtype=torch.bool)):
        assert not math.isnan(float(metric(fused, sources, mask))) or metric.undefined


@pytest.mark.parametrize("name", PLAIN)
def test_the_order_of_sources_does_not_matter(name):
    fused, sources = textured(48, 56, sources=3)
    turned = scored(name, fused, sources.flip(1))
    torch.testing.assert_close(turned, scored(name, fused, sources), **SAME)


@pytest.mark.parametrize("name", METRICS)
def test_inputs_stay_as_they_are(name):
    fused, sources = textured(48, 56)
    mask = torch.ones_like(fused, dtype=torch.bool)
    before = fused.clone(), sources.clone(), mask.clone()
    scored(name, fused, sources, mask)
    assert all(torch.equal(a, b) for a, b in zip((fused, sources, mask), before, strict=True))


@pytest.mark.parametrize("name", PLAIN)
def test_black_around_the_foreground_changes_nothing(name):
    """Every window of a scale fits within 96 voxels; 32 more keep the phase of every decimation."""
    if name in ("q_cb", "q_cv", "q_p"):
        pytest.skip(f"{name} filters the image as a whole: its size is the unit of frequency, its median the noise")
    fused, sources = tensors(synthetic()["phantom_max"])
    mask = (sources > 0.02).any(1, keepdim=True)
    narrow, wide = ([torch.nn.functional.pad(x, [margin] * 4) for x in (fused, sources, mask)] for margin in (96, 128))
    torch.testing.assert_close(scored(name, *wide), scored(name, *narrow), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].differentiable])
def test_gradients_flow_and_stay_finite(name):
    """The flat half is where quotients and square roots have no derivative."""
    fused, sources = textured(48, 56)
    fused, sources = fused.clone(), sources.clone()
    fused[..., :20], sources[..., :20] = 0.25, 0.25
    fused.requires_grad_()
    scored(name, fused, sources).sum().backward()
    assert torch.isfinite(fused.grad).all()
    assert fused.grad[..., 24:].abs().sum() > 0


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].differentiable])
def test_gradients_are_right(name):
    size = max(16, METRICS[name].smallest)
    fused, sources = textured(size, size + 1)
    # Away from the average, where thresholds and maxima of equal sources have corners.
    fused = (0.6 * sources[:, :1] + 0.4 * sources[:, 1:] ** 2 + 0.02).detach().requires_grad_()
    given = extras(METRICS[name], fused.detach(), sources)
    given = {key: value for key, value in given.items() if key != "fused_rgb"}

    def score(x):
        colors = {"fused_rgb": torch.cat([x, x**2, 1 - x], 1)} if "fused_rgb" in METRICS[name].needs else {}
        return METRICS[name](x, sources, None, **given, **colors)

    assert torch.autograd.gradcheck(score, (fused,), fast_mode=True, eps=1e-7, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", METRICS)
def test_float32_is_near_float64(name):
    fused, sources = textured(48, 56)
    found = scored(name, fused.float(), sources.float())
    assert found.dtype == torch.float32
    # Variances of 1e2 are left of squares of 1e4: three of float32's seven digits are lost.
    torch.testing.assert_close(found.double(), scored(name, fused, sources), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", SPATIAL)
def test_slices_far_apart_score_as_one_image(name):
    fused, sources = textured(48, 56)
    if "label" in METRICS[name].needs:
        pytest.skip("a label is marked in millimeters, and its surroundings reach no other slice")
    stacked = [x[:, :, None].repeat(1, 1, 12, 1, 1) for x in (fused, sources)]
    spacing = {"spacing": (1e6, 1.0, 1.0)} if "spacing" in METRICS[name].needs else {}
    # A derivative across the slices is 1e-6 of one in the plane.
    torch.testing.assert_close(scored(name, *stacked, **spacing), scored(name, fused, sources), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_bad_input_is_told(name):
    metric = METRICS[name]
    fused, sources = textured(48, 56)
    given = extras(metric, fused, sources)
    holed = fused.clone()
    holed[..., 3, 3] = math.nan
    for bad in (
        (fused[..., :40], sources, None),
        (holed, sources, None),
        (fused, sources, torch.zeros_like(fused, dtype=torch.bool)),
        (fused, sources, torch.ones_like(fused)),
        (fused[:, 0], sources[:, 0], None),
        (sources, sources, None),
    ):
        with pytest.raises(DataError):
            metric(*bad, **given)
    if metric.smallest > 1:
        with pytest.raises(DataError, match="at least"):
            metric(fused[..., :1, :], sources[..., :1, :], **given)
    with pytest.raises(ParameterError):
        metric(fused, sources, no_such_variant=1, **given)


@pytest.mark.parametrize("name", PLAIN)
def test_noise_does_not_improve_a_score_unless_the_metric_says_so(name):
    metric = METRICS[name]
    if metric.direction == "none" or "noise" in metric.gamed_by:
        pytest.skip(f"{name} is marked: it judges nothing, or noise improves it")
    fused, sources = tensors(synthetic()["phantom_avg"])
    noise = torch.from_numpy(np.random.default_rng(1).normal(0, 15 / 255, fused.shape))
    mask = (sources > 0.02).any(1, keepdim=True)
    clean, noisy = (float(metric(x, sources, mask)) for x in (fused, (fused + noise).clamp(0, 1)))
    better = {"up": noisy > clean, "down": noisy < clean, "zero": abs(noisy) < abs(clean)}
    assert not better[metric.direction]


@pytest.mark.gpu
@pytest.mark.parametrize("name", METRICS)
def test_the_gpu_gives_the_same(name):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    fused, sources = textured(48, 56)
    given = {key: value.cuda() for key, value in extras(METRICS[name], fused, sources).items()}
    found = METRICS[name](fused.cuda(), sources.cuda(), None, **given)
    torch.testing.assert_close(found.cpu(), scored(name, fused, sources), rtol=1e-5, atol=1e-8)
