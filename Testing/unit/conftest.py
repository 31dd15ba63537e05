"""Small heads to fuse, made once."""

from __future__ import annotations

import numpy as np
import pytest

from MedFusionLib.volume import Aligned, Grid, Volume, Window


def ball(shape=(24, 32, 28), seed=0, modality="MR", spacing=1.0):
    """A textured ball on black: a Volume in [0, 1] with foreground, background and detail at every scale."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).random(shape)
    texture = sum(gaussian_filter(noise, sigma) * sigma for sigma in (0.5, 1.5, 4.0))
    texture = (texture - texture.min()) / np.ptp(texture)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.8
    affine = np.diag([spacing] * 3 + [1.0])
    return Volume((0.1 + 0.9 * texture) * inside, Grid(shape, affine), modality, f"ball {seed}")


def aligned_balls(shape=(24, 32, 28), count=2, fields=None):
    """Aligned without harmonizing: the pipeline's own input."""
    volumes = tuple(ball(shape, seed, "MR") for seed in range(count))
    mask = np.any([volume.array > 0 for volume in volumes], 0)
    fields = np.ones((count, *shape), bool) if fields is None else fields
    return Aligned(volumes, (Window(0, 1),) * count, fields, mask)


@pytest.fixture(scope="session")
def balls():
    return aligned_balls()
