"""Task metrics: contrast and separation of a label by hand, and what its surroundings are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from MedFusionLib.errors import DataError
from MedFusionLib.metrics._task import regions, separation
from MedFusionLib.registry import find_metric


def line(*levels):
    """(1, 1, 1, N): voxels in a row, in gray levels over 255."""
    return torch.tensor(levels, dtype=torch.float64).view(1, 1, 1, -1) / 255


def label_of(image, *where):
    label = torch.zeros(image.shape, dtype=torch.bool)
    label[(..., *where)] = True
    return label


def noise(*size, channels=1, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((1, channels, *size)))


def test_cnr_by_hand():
    """The label is the first voxel; the next is nearer than 2 mm, the following four are 10, 20, 10, 20."""
    image = line(75, 255, 10, 20, 10, 20)
    found = float(find_metric("cnr")(image, image, label=label_of(image, 0, 0)))
    assert found == pytest.approx((75 - 15) / 5)


def test_auc_by_hand_whichever_is_brighter():
    """Label 30 against 10, 20, 30, 40: above two and a tie is 2.5 of 4."""
    image = line(30, 0, 10, 20, 30, 40)
    label = label_of(image, 0, 0)
    for each in (image, 1 - image):
        assert float(find_metric("auc")(each, each, label=label)) == pytest.approx(2.5 / 4)


def test_auc_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle of this test")
    rng = np.random.default_rng(0)
    inside, around = rng.integers(3, 12, 60).astype(float), rng.integers(0, 10, 300).astype(float)
    expected = metrics.roc_auc_score([1] * 60 + [0] * 300, np.concatenate([inside, around]))
    found = float(separation(torch.from_numpy(inside)[None], torch.from_numpy(around)[None]))
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("spacing", [None, (4.0, 1.0, 0.5)])
def test_surroundings_are_2_to_10_mm_away(spacing):
    """Against distances of every voxel to every voxel of the label, which touches the frame."""
    image = noise(7, 24, 31)
    label = label_of(image, slice(3, 5), slice(0, 3), slice(12, 15))
    mask = torch.ones_like(label)
    mask[..., :9] = False
    ((inside, around),) = regions(image, image[:, :0], label, mask, spacing)
    steps = torch.tensor(spacing or (1.0, 1.0, 1.0)).double()
    voxels = torch.cartesian_prod(*(torch.arange(n) for n in image.shape[2:])).double() * steps
    distance = torch.cdist(voxels, voxels[label.flatten()]).amin(1)
    ring = (distance >= 2) & (distance <= 10) & mask.flatten()
    assert torch.equal(around[0], image.flatten()[ring])
    assert torch.equal(inside[0], image[label])


def test_what_is_kept_is_relative_to_the_best_source():
    clear, faint = noise(24, 24), noise(24, 24, seed=1)
    label = label_of(clear, slice(10, 14), slice(10, 14))
    clear, faint = clear + 2 * label, faint + 0.2 * label
    sources = torch.cat([faint, clear], 1) / 3
    for name in ("cnr", "auc"):
        chance = 0.5 if name == "auc" else 0
        single, kept = find_metric(name), find_metric(f"{name}_retention")
        above = [float(single(x[:, None], sources, label=label)) - chance for x in sources.unbind(1)]
        assert float(kept(sources[:, :1], sources, label=label)) == pytest.approx(above[0] / above[1])
        assert float(kept(sources[:, 1:], sources, label=label)) == 1
        assert float(kept(torch.zeros_like(clear), sources, label=label)) == 0


def test_what_no_source_shows_cannot_be_kept():
    image = noise(24, 24)
    sources = torch.full_like(image, 0.3)
    label = label_of(image, slice(10, 14), slice(10, 14))
    for name in ("cnr_retention", "auc_retention"):
        assert math.isnan(float(find_metric(name)(image, sources, label=label)))


def test_cnr_without_noise_is_0_or_undefined():
    flat = torch.full((1, 1, 24, 24), 0.3).double()
    label = label_of(flat, slice(10, 14), slice(10, 14))
    score = find_metric("cnr")
    assert float(score(flat, flat, label=label)) == 0
    assert math.isnan(float(score(flat + 0.1 * label, flat, label=label)))


def test_labels_that_cannot_be_scored_are_told():
    image = noise(24, 24)
    label = label_of(image, slice(10, 14), slice(10, 14))
    score = find_metric("cnr")
    with pytest.raises(DataError, match="no voxel"):
        score(image, image, label=torch.zeros_like(label))
    with pytest.raises(DataError, match="Surroundings"):
        score(image, image, label, label=label)
    with pytest.raises(DataError, match="bool"):
        score(image, image, label=label.double())
