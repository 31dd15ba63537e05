"""The foreground: where any source shows something. Only there is fused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NOISE_FLOOR = 3 / 255
"""In [0, 1]: three gray levels, below what an eye sees on black."""

_CLOSING = 2
"""Voxels; closes gaps up to 4 voxels wide (a 5-voxel box, METHODS lesson 1)."""


def foreground(arrays: Sequence[np.ndarray], fields: np.ndarray) -> np.ndarray:
    """The union of the sources above the noise floor inside their fields of view, closed.

    Args:
        arrays: N of (K, J, I) in [0, 1].
        fields: (N, K, J, I) bool.

    Returns:
        (K, J, I) bool.
    """
    mask = np.zeros(arrays[0].shape, bool)
    for array, field in zip(arrays, fields, strict=True):
        mask |= (array > NOISE_FLOOR) & field
    return _closed(mask)


def _closed(mask: np.ndarray) -> np.ndarray:
    """Dilation then erosion by a box; beyond the edge lies what is at the edge, so nothing erodes there."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    closed = mask.view(np.uint8)
    axes = [axis for axis in range(3) if mask.shape[axis] > 1]
    for axis in axes:
        closed = maximum_filter1d(closed, 2 * _CLOSING + 1, axis, mode="nearest")
    for axis in axes:
        closed = minimum_filter1d(closed, 2 * _CLOSING + 1, axis, mode="nearest")
    return closed.view(bool)
