import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from MedFusionLib.metrics._windows import gaussian_window
from MedFusionLib.metrics.ms_ssim import _scales
from MedFusionLib.registry import find_metric

UNEVEN = 1e6
"""Spacing of slices that are so far apart that windows stay in them."""


def textured(*size, seed=0):
    """Texture of many scales in [0, 1], without a flat patch."""
    generator = torch.Generator().manual_seed(seed)
    size = size if len(size) == 4 else (1, 1, *size)
    coarse = torch.rand(size[0] * size[1], 1, 6, 6, generator=generator, dtype=torch.float64)
    fine = torch.rand(size, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.interpolate(coarse, size[2:], mode="bilinear")
    return 0.7 * smooth.reshape(size) + 0.3 * fine


def score(name, fused, *sources, mask=None, **options):
    return find_metric(name)(fused, torch.cat(sources, 1), mask, **options).item()


def whole(image):
    return torch.ones_like(image, dtype=torch.bool)


# --- quality index: Q_S, Q_W, Q_E, Q_C, Q_Y ---


@pytest.mark.parametrize(("name", "size"), [("q_s", 8), ("q_w", 8), ("q_c", 7), ("q_y", 7)])
def test_half_the_contrast_and_brightness_costs_both_factors(name, size):
    image = textured(size, size)
    assert score(name, image / 2, image) == pytest.approx((2 * 0.5 / (1 + 0.5**2)) ** 2)


@pytest.mark.parametrize("name", ["q_s", "q_w", "q_c", "q_y"])
def test_unequal_flat_patches_are_compared_by_brightness(name):
    flat = torch.full((1, 1, 12, 12), 0.4, dtype=torch.float64)
    assert score(name, flat, flat / 2) == pytest.approx(2 * 0.5 / (1 + 0.5**2))


@pytest.mark.parametrize("name", ["q_s", "q_w", "q_e", "q_c", "q_y"])
def test_the_same_flat_patch_everywhere_counts_1_in_an_image_and_nothing_in_a_mask(name):
    flat = torch.full((1, 1, 20, 20), 0.4, dtype=torch.float64)
    inner = whole(flat)
    inner[..., :6] = inner[..., -6:] = inner[..., :6, :] = inner[..., -6:, :] = False
    assert score(name, flat, flat, flat) == 1
    assert math.isnan(score(name, flat, flat, flat, mask=inner))


def test_q_s_of_a_mask_leaves_the_black_background_out():
    fused, source = textured(30, 30), textured(30, 30, seed=1)
    fused[..., :15] = source[..., :15] = 0
    windows, black = 23 * 23, 23 * (15 - 7)
    expected = (windows * score("q_s", fused, source) - black) / (windows - black)
    assert score("q_s", fused, source, mask=whole(fused)) == pytest.approx(expected)


def test_q_s_shares_by_variance_and_q_w_weights_by_the_largest():
    image = textured(8, 8)
    weak = image / 2
    # Variance 4 : 1; the index of weak against image is 0.64.
    assert score("q_s", image, image, weak) == pytest.approx(0.8 + 0.2 * 0.64)
    quiet, loud = 0.5 + (image - 0.5) / 1000, image
    pair, fused = torch.cat([loud, quiet], -1), torch.cat([loud, 1 - quiet], -1)
    assert score("q_s", fused, pair) < 0.8
    assert score("q_w", fused, pair) > score("q_s", fused, pair) + 0.1


def test_q_e_takes_the_frame_for_an_edge_only_if_told():
    source, other = textured(40, 40), textured(40, 40, seed=1)
    fused = (source + other) / 2
    assert score("q_e", fused, source) > 1.2 * score("q_e", fused, source, border="replicate")
    for image in (fused, source):
        image[..., :1] = image[..., -1:] = image[..., :1, :] = image[..., -1:, :] = 0
    assert score("q_e", fused, source) == pytest.approx(score("q_e", fused, source, border="replicate"))


def test_q_c_leaves_a_source_out_that_the_fused_image_goes_against():
    image = textured(7, 7)
    assert score("q_c", image, image, 1 - image / 2) == pytest.approx(1)
    other = textured(20, 20, seed=1)
    fused, source = textured(20, 20, seed=2), textured(20, 20)
    three = score("q_c", fused, source, other, torch.zeros_like(other))
    assert three == pytest.approx(score("q_c", fused, source, other))


def test_q_y_asks_for_both_sources_only_where_they_are_alike():
    image = textured(7, 7)
    near, far = 0.7 * image, 0.3 * image
    alike = (2 * 0.7 / (1 + 0.7**2)) ** 2
    assert alike > 0.75 > (2 * 0.3 / (1 + 0.3**2)) ** 2
    assert score("q_y", image, image, near) == pytest.approx((1 + 0.49 * alike) / 1.49)
    assert score("q_y", image, image, far) == pytest.approx(1)
    # Of three, all pairs have to be: here the last two are not.
    assert score("q_y", image, 0.6 * image, image, 0.36 * image) == pytest.approx(1)


# --- MS-SSIM ---


def test_ms_ssim_of_one_scale_is_ssim():
    source, other = textured(21, 30), textured(21, 30, seed=1)
    fused = (2 * source + other) / 3
    assert score("ms_ssim", fused, source) == pytest.approx(score("ssim", fused, source))
    _, full = structural_similarity(
        255 * fused[0, 0].numpy(),
        255 * source[0, 0].numpy(),
        gaussian_weights=True,
        use_sample_covariance=False,
        data_range=255,
        full=True,
    )
    assert score("ms_ssim", fused, source) == pytest.approx(full[5:-5, 5:-5].mean())


def test_ms_ssim_has_five_scales_from_176_voxels():
    assert [len(_scales((size, 300), [1.0, 1.0])) for size in (21, 22, 175, 176, 1000)] == [1, 2, 4, 5, 5]


def test_ms_ssim_halves_thick_slices_late_and_twice_at_most():
    def halved(shape, steps):
        return ["".join("zyx"[n] for n in range(3) if axes[n]) for axes, _ in _scales(shape, steps)[1:]]

    assert halved((64, 400, 400), [1.0, 1.0, 1.0]) == ["zyx", "zyx"]
    assert halved((64, 400, 400), [5.0, 1.0, 1.0]) == ["yx", "yx", "zyx", "zyx"]
    assert halved((64, 400, 400), [2.5, 1.0, 1.0]) == ["yx", "zyx", "zyx", "yx"]
    assert halved((24, 400, 400), [6.0, 1.0, 1.0]) == ["yx", "yx", "zyx"]


def test_ms_ssim_of_opposites_is_0_and_learns_nothing_from_it():
    source = textured(44, 44)
    fused = (1 - source).requires_grad_()
    value = find_metric("ms_ssim")(fused, source)
    (slope,) = torch.autograd.grad(value, fused)
    assert value.item() == 0
    assert not slope.any()


# --- MEF-SSIM ---


def gaussian_moments(first, second):
    (taps, _) = gaussian_window(2)
    weights = np.outer(taps, taps)
    a, b = 255 * first[0, 0].numpy(), 255 * second[0, 0].numpy()
    a, b = a - (weights * a).sum(), b - (weights * b).sum()
    return (weights * a * a).sum(), (weights * b * b).sum(), (weights * a * b).sum()


def test_mef_ssim_with_one_source_is_structure_and_contrast_of_ssim():
    fused, source = textured(11, 11), textured(11, 11, seed=1)
    of_fused, of_source, common = gaussian_moments(fused, source)
    constant = (0.03 * 255) ** 2
    expected = (2 * common + constant) / (of_fused + of_source + constant)
    assert score("mef_ssim", fused, source) == pytest.approx(expected, rel=1e-6)


def test_mef_ssim_wants_the_contrast_of_the_strongest_and_does_not_see_brightness():
    image = textured(30, 30)
    weak = 0.3 + 0.2 * image
    assert score("mef_ssim", image, image, weak) == pytest.approx(1)
    assert score("mef_ssim", image / 2 + 0.4, image, weak) == pytest.approx(score("mef_ssim", image / 2, image, weak))
    assert score("mef_ssim", weak, image, weak) < 0.8
    # The power makes a source of a fifth of the contrast and another structure count next to nothing.
    assert score("mef_ssim", image, image, textured(30, 30, seed=1) / 5) > 0.99


def test_mef_ssim_wants_nothing_where_the_sources_cancel():
    image = textured(11, 11)
    variance, _, _ = gaussian_moments(image, image)
    constant = (0.03 * 255) ** 2
    assert score("mef_ssim", image, image, 1 - image) == pytest.approx(constant / (variance + constant))


# --- VIFp and VIFF ---


@pytest.mark.parametrize(("name", "faint"), [("vifp", 2000), ("viff", 100)])
@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_vif_of_texture_below_the_noise_goes_with_the_square_of_the_gain(name, faint, gain):
    source = textured(41, 41) / faint
    assert score(name, gain * source, source) == pytest.approx(gain**2, rel=0.03)


def test_vifp_of_the_negative_is_0():
    source = textured(50, 45)
    assert score("vifp", 1 - source, source) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vifp_of_a_constant_source_is_nan_and_of_a_constant_result_0(dtype):
    source = textured(50, 45).to(dtype)
    flat = torch.full_like(source, 0.3)
    vifp = find_metric("vifp")
    values = vifp.values(source, torch.cat([source, flat], 1))
    assert values[0, 0].item() == pytest.approx(1)
    assert values[0, 1].isnan()
    assert score("vifp", flat, source, flat) == 0
    assert math.isnan(score("vifp", source, flat))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_viff_leaves_a_constant_source_out(dtype):
    fused, source = textured(50, 45).to(dtype), textured(50, 45, seed=1).to(dtype)
    flat = torch.full_like(source, 0.3)
    alone = score("viff", fused, source)
    assert alone < 0.5
    assert score("viff", fused, source, flat) == pytest.approx(alone)
    assert score("viff", fused, flat, source) == pytest.approx(alone)
    assert math.isnan(score("viff", fused, flat))


def test_viff_is_that_of_the_source_kept_worse():
    first, second = textured(60, 60), textured(60, 60, seed=1)
    assert score("viff", first, first) == pytest.approx(1)
    assert score("viff", first, first, second) < 0.3


# --- all of them ---


@pytest.mark.parametrize("name", ["q_s", "q_w", "ms_ssim", "mef_ssim", "vifp", "viff"])
def test_what_is_far_from_the_mask_changes_nothing(name):
    fused, source = textured(60, 200), textured(60, 200, seed=1)
    mask = torch.zeros_like(whole(fused))
    mask[..., :60] = True
    changed = fused.clone()
    changed[..., 190:] = 0
    before = score(name, fused, source, mask=mask)
    assert score(name, changed, source, mask=mask) == pytest.approx(before, rel=1e-12)
    assert score(name, changed, source) != pytest.approx(score(name, fused, source), rel=1e-4)
    assert score(name, fused, source, mask=whole(fused)) == pytest.approx(score(name, fused, source), rel=1e-12)


@pytest.mark.parametrize("name", ["q_s", "q_w", "q_e", "q_c", "q_y", "ms_ssim", "mef_ssim", "vifp", "viff"])
def test_equal_slices_far_apart_score_as_one(name):
    fused, sources = textured(50, 60), [textured(50, 60, seed=seed) for seed in (1, 2)]
    stack = [image[:, :, None].expand(-1, -1, 12, -1, -1) for image in (fused, *sources)]
    assert score(name, *stack, spacing=(UNEVEN, 1, 1)) == pytest.approx(score(name, fused, *sources), rel=1e-6)


@pytest.mark.parametrize("name", ["vifp", "viff"])
def test_vif_does_not_mix_thick_slices(name):
    slices = [textured(1, 42, 45, 45, seed=seed)[:, None] for seed in (1, 2)]
    shuffled = [torch.cat([image[:, :, ::2], image[:, :, 1::2]], 2) for image in slices]
    thick, value = (5.0, 1.0, 1.0), score(name, *slices, spacing=(5, 1, 1))
    assert score(name, *shuffled, spacing=thick) == pytest.approx(value)
    assert value > 0.001
