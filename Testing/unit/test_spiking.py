"""Pulse-coupled neurons: counts worked out by hand or by plain loops, and the same however the work is divided."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from MedFusionLib.methods.nsst_papcnn import nsst_papcnn
from MedFusionLib.transforms import rules, sheets, spiking

MODELS = {
    "pcnn": spiking.pcnn,
    "scm": spiking.scm,
    "dual_scm": spiking.dual_scm,
    "pa_pcnn": spiking.pa_pcnn,
    "adaptive_neuron": spiking.adaptive_neuron,
}


def stimulus(shape=(2, 2, 20, 17), seed=0):
    """Few strong and many weak values, as the coefficients of a band."""
    return 0.4 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) ** 4


def neighbors(spikes, edge, diagonal):
    """Weighted sum of the eight neighbors' spikes, nothing beyond the border."""
    padded = np.pad(spikes, 1)
    height, width = spikes.shape
    total = np.zeros((height, width))
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            weight = (0.0, edge, diagonal)[abs(row) + abs(column)]
            total += weight * padded[1 + row : 1 + row + height, 1 + column : 1 + column + width]
    return total


def plain_pa_pcnn(sheet, iterations=110):
    """The published equations with their exponentials, in float64."""
    from skimage.filters import threshold_otsu

    s = sheet.double().numpy()
    deviation, top = s.std(), s.max()
    level = max(threshold_otsu(np.floor(s.clip(0, 1) * 255 + 0.5).astype(np.uint8)) / 255, 1 / 255)
    a_f = math.log10(1 / deviation)
    linking, v_e = (top / level - 1) / 6, math.exp(-a_f) + top / level
    m = (1 - math.exp(-3 * a_f)) / (1 - math.exp(-a_f)) + (top / level - 1) * math.exp(-a_f)
    a_e = math.log(v_e / (level * m))
    u, e, y, counts = np.zeros_like(s), np.ones_like(s), np.zeros_like(s), np.zeros_like(s)
    for _ in range(iterations):
        u = math.exp(-a_f) * u + s * (1 + linking * neighbors(y, 1, 0.5))
        y = (u > e).astype(float)
        e = math.exp(-a_e) * e + v_e * y
        counts += y
    return counts


def plain_pcnn(sheet, iterations):
    s = sheet.double().numpy()
    link, threshold, y, counts = np.zeros_like(s), np.zeros_like(s), np.zeros_like(s), np.zeros_like(s)
    for _ in range(iterations):
        link = math.exp(-1) * link + neighbors(y, 1, 0.5**0.5)
        threshold = math.exp(-0.2) * threshold + 20 * y
        y = (s * (1 + 3 * link) > threshold).astype(float)
        counts += y
    return counts


def plain_dual_scm(stimuli, linking, iterations):
    """For one image (K, H, W); linking likewise."""
    s, u = stimuli, np.zeros_like(stimuli)
    e, y, counts = np.ones_like(s[0]), np.zeros_like(s[0]), np.zeros_like(s)
    for _ in range(iterations):
        u = 0.8 * u + s * (1 + linking * neighbors(y, 0.1409, 0.1091))
        y = (u.max(0) > e).astype(float)
        e = 0.7 * e + 20 * y
        for k in range(len(s)):
            counts[k] += y * (u.argmax(0) == k)
    return counts


def agrees(counts, expected):
    # The plain loops have other roundings; single neurons at their threshold may fire one iteration apart.
    return (counts.numpy() != expected).mean() < 0.01


def test_a_lone_neuron_fires_when_its_threshold_has_fallen():
    # SCM of one voxel: U = 0.36, 0.648, 0.878 against E = 1, 0.7, 0.49 fires at n = 3, which lifts E above 20.
    lone = torch.full((1, 1, 1, 1), 0.36)
    counts = [int(spiking.scm(lone, n)) for n in range(1, 12)]
    activity, threshold, expected = 0.0, 1.0, []
    for _ in range(11):
        activity = 0.8 * activity + 0.36
        fired = activity > threshold
        threshold = 0.7 * threshold + 20 * fired
        expected.append(int(fired))
    assert counts == np.cumsum(expected).tolist()
    assert counts[1] == 0
    assert counts[2] == 1


def test_a_neighbor_that_fires_brings_the_next_one_to_fire():
    # PCNN: at n = 1 all that is stimulated fires (threshold 0); then the threshold is 20 e^-0.2(n - 2). The middle
    # alone has U = 0.5, below which that falls at n = 21.
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 1, 1] = 0.5
    assert [int(spiking.pcnn(x, n)[0, 0, 1, 1]) for n in (1, 20, 21)] == [1, 1, 2]
    # A neighbor with U = 1 fires at n = 17 (20 e^-3 = 0.9957).
    x[0, 0, 1, 0] = 1.0
    assert [int(spiking.pcnn(x, n)[0, 0, 1, 0]) for n in (16, 17)] == [1, 2]
    # It lifts the middle at n = 18 to 0.5 (1 + 3) = 2, above 20 e^-3.2 = 0.815.
    assert [int(spiking.pcnn(x, n)[0, 0, 1, 1]) for n in (17, 18)] == [1, 2]
    assert int(spiking.pcnn(x, 18, linking=0)[0, 0, 1, 1]) == 1
    # From the corner it counts 0.7071: 0.5 (1 + 0.88 * 0.7071) = 0.811, 0.5 (1 + 0.9 * 0.7071) = 0.818.
    x[0, 0, 1, 0], x[0, 0, 0, 0] = 0.0, 1.0
    assert [int(spiking.pcnn(x, 18, linking=beta)[0, 0, 1, 1]) for beta in (0.88, 0.9)] == [1, 2]


def test_the_models_agree_with_the_printed_equations():
    x = stimulus()
    for b in range(2):
        for c in range(2):
            assert agrees(spiking.pa_pcnn(x)[b, c], plain_pa_pcnn(x[b, c]))
            assert agrees(spiking.pcnn(x, 60)[b, c], plain_pcnn(x[b, c], 60))


def test_two_channels_drive_one_network():
    x = stimulus((1, 3, 12, 9))
    linking = spiking._relative_deviation(x)
    counts = spiking.dual_scm(x)[0]
    assert agrees(counts, plain_dual_scm(x[0].double().numpy(), linking[0].double().numpy(), 40))
    assert (counts.sum(0) > 0).any()
    # Without a second channel it is the spiking cortical model with that linking; the stronger channel has the spikes.
    x[:, 1:] = 0
    counts = spiking.dual_scm(x)[0]
    assert (counts[1:] == 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_what_is_not_stimulated_does_not_fire(name):
    x = stimulus()
    x[1] = 0
    x[0, 0, 5:9, 5:9] = 0
    counts = MODELS[name](x)
    assert counts.dtype == torch.int16
    assert counts.shape == x.shape
    assert (counts[1] == 0).all()
    assert (counts[0, 0, 5:9, 5:9] == 0).all()
    assert (counts[0] > 0).any()


@pytest.mark.parametrize("name", MODELS)
def test_firings_only_grow_with_the_iterations(name):
    x = stimulus()
    before = torch.zeros_like(MODELS[name](x, 1))
    for iterations in (1, 2, 5, 20, 50):
        counts = MODELS[name](x, iterations)
        assert (counts >= before).all()
        assert counts.max() <= iterations
        before = counts
    assert before.max() > 1


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("voxels", [200, 700, 10**8])
def test_counts_are_the_same_however_the_sheets_are_divided(name, voxels, monkeypatch):
    # 200: each sheet of 340 in parts that must see each other; 700: two sheets at a time; 10^8: all at once.
    x = stimulus((3, 3, 20, 17))
    expected = torch.stack([MODELS[name](image[None], 25)[0] for image in x])
    monkeypatch.setattr(sheets, "_CACHE_VOXELS", voxels)
    assert torch.equal(MODELS[name](x, 25), expected)


@pytest.mark.parametrize("name", ["pcnn", "scm", "pa_pcnn"])
def test_channels_do_not_see_each_other(name):
    x = stimulus()
    apart = torch.cat([MODELS[name](x[:, c : c + 1]) for c in range(2)], 1)
    assert torch.equal(MODELS[name](x), apart)


@pytest.mark.parametrize("name", MODELS)
def test_counts_do_not_depend_on_the_type(name):
    x = stimulus()
    assert torch.equal(MODELS[name](x.double()), MODELS[name](x))


def test_the_adaptive_neuron_ignores_the_scale_but_not_which_source_is_stronger():
    x = stimulus().clamp_min(1e-5)
    counts = spiking.adaptive_neuron(x)
    assert torch.equal(spiking.adaptive_neuron(1024 * x), counts)  # a power of two scales without rounding
    x[:, 1] = x[:, 0] / 4
    counts = spiking.adaptive_neuron(x, 5)
    assert (counts[:, 0] >= counts[:, 1]).all()
    assert (counts[:, 0] > counts[:, 1]).any()
    rounding = 1e-8 * torch.ones(1, 2, 4, 4)
    assert (spiking.adaptive_neuron(rounding) == 0).all()


@pytest.mark.parametrize("value", [1e-30, 1e-7, 1e-3, 1.0, 50.0])
def test_extreme_sheets_stay_within_bounds(value):
    # A constant sheet has no deviation, a strong one more than 1: neither may make a parameter infinite.
    for x in (torch.full((1, 2, 6, 5), value), value * stimulus((1, 2, 6, 5))):
        decay, linking, fall, gain = spiking._adapted(x[0])
        assert ((decay > 0) & (decay <= 1)).all()
        assert ((fall > 0) & (fall < 1)).all()
        assert ((linking >= 0) & (gain > 0) & linking.isfinite() & gain.isfinite()).all()
        counts = spiking.pa_pcnn(x)
        assert counts.min() >= 0
        assert counts.max() <= 110


def test_otsu_agrees_with_scikit_image():
    from skimage.filters import threshold_otsu

    noise = np.random.default_rng(0)
    one, two = noise.beta(1, 6, (40, 30)), noise.beta(3, 3, (40, 30))
    both = np.where(noise.random((40, 30)) < 0.3, 0.2, 0.7) + 0.05 * noise.standard_normal((40, 30))
    images = torch.from_numpy(np.stack([one, two, both])).float()
    levels = (images.clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8)
    expected = [threshold_otsu(level.numpy()) / 255 for level in levels]
    assert spiking.otsu(images).tolist() == pytest.approx(expected, abs=1e-12)
    assert 0.25 < expected[2] < 0.65


def test_otsu_of_two_values_parts_them_and_of_one_is_its_own():
    x = torch.zeros(2, 4, 4)
    x[0, :2] = 0.6
    low, flat = spiking.otsu(x)
    assert 0 <= low < 0.6
    assert flat == 0


def test_ties_go_to_the_largest_of_those_that_tie():
    counts = torch.tensor([3, 5, 5, 1]).reshape(1, 4, 1, 1)
    assert rules.largest(counts).item() == 1
    assert rules.largest(counts, torch.tensor([9.0, 1, 2, 9]).reshape(1, 4, 1, 1)).item() == 2
    assert rules.largest(counts, torch.tensor([9.0, 2, 2, 9]).reshape(1, 4, 1, 1)).item() == 1


def test_a_rule_inside_the_image_leaves_the_margins_to_magnitude():
    x = torch.zeros(1, 2, 7, 8)
    x[:, 0], x[:, 1] = 1, -2
    joined = rules.chosen_inside(x, (3, 4), 2, lambda inside: torch.zeros_like(inside[:, :1], dtype=torch.uint8))
    assert (joined[..., 2:5, 2:6] == 1).all()
    assert (joined == 1).sum() == 12
    assert (joined == -2).sum() == 7 * 8 - 12


def test_the_order_of_the_sources_matters_only_as_published():
    x = torch.rand(1, 2, 33, 30, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(nsst_papcnn(x), nsst_papcnn(x.flip(1)))
    assert (nsst_papcnn(x, ties="first") - nsst_papcnn(x.flip(1), ties="first")).abs().max() > 0.1
