"""The dual-tree and the undecimated wavelet transform, and the methods that stand on them and on contrast."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MedFusionLib.registry import find_method
from MedFusionLib.transforms import dtcwt, dwt, swt
from MedFusionLib.transforms.window import spatial_axes

EPS = {torch.float32: 2e-6, torch.float64: 1e-12}
"""Perfect reconstruction: a few hundred roundings of values up to 1."""

SIZES = [(8, 8), (37, 41), (1, 5), (255, 64), (1, 1), (181, 217)]

# As published (Kingsbury 2001; Abdelnour, Selesnick 2001), rounded.
QUARTER = [0.03516384, 0, -0.08832942, 0.23389032, 0.76027237, 0.58751830, 0, -0.11430184, 0, 0]
FIRST = [0, -0.08838834764832, 0.08838834764832, 0.69587998903400, 0.69587998903400, 0.08838834764832]
FIRST += [-0.08838834764832, 0.01122679215254, 0.01122679215254, 0]


def random(shape, dtype=torch.float64, seed=0):
    return torch.rand((2, 2, *shape), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def energies(x):
    """(levels, 6): energy of each complex band."""
    details, _ = dtcwt.analyze(x, 3)
    return np.array([[float((real**2 + imag**2).sum()) for real, imag in level] for level in details])


def square(shift):
    """A square on black, moved along both axes."""
    x = torch.zeros(1, 1, 96, 96, dtype=torch.float64)
    x[..., 30 + shift : 54 + shift, 28 + shift : 50 + shift] = 1
    return x


def dual_tree_error(shape, dtype):
    x = random(shape, dtype)
    details, lows = dtcwt.analyze(x, 4)
    return (dtcwt.synthesize(details, lows, shape) - x).abs().max()


def undecimated_error(shape, dtype, wavelet, levels=3):
    x = random(shape, dtype)
    return (swt.process(x, lambda band: band, lambda band: band, wavelet, levels, spatial_axes(x)) - x).abs().max()


def bands_of(x, wavelet="bior4.4", levels=2):
    """(details, low) of the undecimated transform."""
    details, low = [], []
    swt.process(x, lambda b: details.append(b) or b, lambda b: low.append(b) or b, wavelet, levels, spatial_axes(x))
    return details, low[0]


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("shape", SIZES)
def test_the_dual_tree_rebuilds_the_image(shape, dtype):
    assert dual_tree_error(shape, dtype) < EPS[dtype]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", EPS)
def test_both_transforms_rebuild_every_size(dtype):
    for size in range(8, 301, 3):
        assert dual_tree_error((size, 308 - size), dtype) < EPS[dtype]
        assert undecimated_error((size, 308 - size), dtype, "bior4.4") < EPS[dtype]


@pytest.mark.parametrize(
    ("ours", "published", "digit"), [(dtcwt._QUARTER, QUARTER, 1e-8), (dtcwt._FIRST, FIRST, 1e-14)]
)
def test_the_filters_are_the_published_ones_and_orthonormal(ours, published, digit):
    ours = np.array(ours)
    assert np.abs(ours - published).max() < digit
    for shift in range(0, 10, 2):
        assert ours[shift:] @ ours[: 10 - shift] == pytest.approx(1.0 if shift == 0 else 0.0, abs=1e-15)
    assert ours @ (-1.0) ** np.arange(10) == pytest.approx(0, abs=1e-15)


def test_the_moduli_hardly_change_when_the_image_moves():
    # The horizontal and vertical bands of the third level; a square has no diagonal edges.
    spread = np.array([energies(square(shift))[2, :4] for shift in range(16)])
    plain = []
    for shift in range(16):
        details, _ = dwt.analyze(square(shift), "db2", 3, (2, 3))
        plain.append([float((band**2).sum()) for band in details[2][:2]])
    relative, relative_plain = (e.std(0) / e.mean(0) for e in (spread, np.array(plain)))
    assert relative.max() < 0.25
    assert 2 * relative.max() < relative_plain.min()


@pytest.mark.parametrize("band", range(6))
def test_each_band_answers_to_its_own_direction(band):
    frequency = [(0.12, 0.35), (-0.12, 0.35), (0.35, 0.12), (0.35, -0.12), (0.35, 0.35), (0.35, -0.35)][band]
    # Waves along (row, column), in units of pi a voxel, in the middle of the second level's octave.
    place = torch.arange(96, dtype=torch.float64)
    wave = torch.cos(torch.pi * (frequency[0] * place[:, None] + frequency[1] * place))
    answers = energies(wave[None, None])[1]
    assert answers.argmax() == band
    assert answers[band] > 1.8 * np.delete(answers, band).max()


def test_a_constant_has_no_details():
    for bands in (
        [
            part
            for level in dtcwt.analyze(torch.ones(1, 1, 20, 23, dtype=torch.float64), 3)[0]
            for z in level
            for part in z
        ],
        bands_of(torch.ones(1, 1, 20, 23, dtype=torch.float64))[0],
    ):
        assert max(band.abs().max() for band in bands) < 1e-12


def test_the_dual_tree_is_linear_and_takes_each_image_by_itself():
    x, y = random((24, 19), seed=1), random((24, 19), seed=2)
    together = dtcwt.analyze(2 * x - y, 3)[0][2][4][0]
    torch.testing.assert_close(together, 2 * dtcwt.analyze(x, 3)[0][2][4][0] - dtcwt.analyze(y, 3)[0][2][4][0])
    torch.testing.assert_close(together[1:], dtcwt.analyze((2 * x - y)[1:], 3)[0][2][4][0])


def test_gradients_flow_through_both_transforms():
    x = torch.rand(1, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: dtcwt.analyze(x, 2)[0][1][4], x)
    assert torch.autograd.gradcheck(lambda x: swt.process(x, torch.sin, torch.cos, "db2", 2, (2, 3)), x)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("shape", [*SIZES[:4], (6, 5, 9)])
@pytest.mark.parametrize("wavelet", dwt.WAVELETS)
def test_the_undecimated_wavelet_rebuilds_the_image(wavelet, shape, dtype):
    # db4's published taps carry 12 digits.
    assert undecimated_error(shape, dtype, wavelet) < max(EPS[dtype], 1e-11 if wavelet == "db4" else 0)


@pytest.mark.parametrize("wavelet", dwt.WAVELETS)
def test_the_undecimated_bands_move_with_the_image(wavelet):
    x = torch.zeros(1, 1, 90, 80, dtype=torch.float64)
    x[..., 38:50, 36:44] = random((12, 8))[:1, :1]
    details, low = bands_of(x, wavelet)
    moved_details, moved_low = bands_of(x.roll((3, 5), (2, 3)), wavelet)
    for band, moved in zip([*details, low], [*moved_details, moved_low], strict=True):
        torch.testing.assert_close(band.roll((3, 5), (2, 3)), moved, rtol=0, atol=1e-15)


def test_the_undecimated_haar_wavelet_by_hand():
    details, low = bands_of(torch.tensor([[[1.0, 3.0, 2.0, 2.0]]]), "haar", 1)
    # Means and half differences of neighbors, with one more before the first voxel, where the border is mirrored.
    torch.testing.assert_close(low, torch.tensor([[[1.0, 2.0, 2.5, 2.0, 2.0]]])[..., -low.shape[2] :])
    torch.testing.assert_close(details[0].abs(), torch.tensor([[[0.0, 1.0, 0.5, 0.0, 0.0]]])[..., -low.shape[2] :])


def test_undecimated_fusion_does_not_depend_on_where_the_image_begins():
    method = find_method("swt_max").function
    x = torch.zeros(1, 2, 220, 220, dtype=torch.float64)
    x[..., 100:120, 100:120] = random((20, 20))[:1]
    assert torch.equal(method(x.roll((1, 2), (2, 3))), method(x).roll((1, 2), (2, 3)))


@pytest.mark.parametrize(("name", "winner"), [("contrast_pyramid", 0), ("laplacian", 1)])
def test_the_contrast_pyramid_goes_by_ratios_and_the_laplacian_by_differences(name, winner):
    # Stripes of 40 % on dim ground beside stripes across of 15 % on bright ground, which differ by twice as much.
    stripes = (torch.arange(64) % 4 < 2).double() - 0.5
    dim, bright = 0.1 * (1 + 0.8 * stripes[:, None]).expand(64, 64), 0.6 * (1 + 0.3 * stripes).expand(64, 64)
    options = {"floor": 0.001} if name == "contrast_pyramid" else {}
    fused = find_method(name).function(torch.stack([dim, bright])[None], levels=2, **options)[0, 0, 16:48, 16:48]
    along = (fused.std(0).mean(), fused.std(1).mean())
    assert along[winner] > 5 * along[1 - winner]
