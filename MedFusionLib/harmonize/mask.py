"""The foreground: where any source shows something. Only there is fused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NOISE_FLOOR = 3 / 255
"""In [0, 1]: three gray levels, below what an eye sees on black. The lowest floor of any volume."""

_DARK = 0.1
"""Where air's noise can lie, and the highest floor."""

_MUCH = 0.1
"""Share of dark voxels from which they are taken for air: edges and fluid alone stay below."""

_RAYLEIGH = 3.5
"""The magnitude of noise exceeds this many times its most frequent value in one voxel of 450."""

_CLOSING = 2
"""Voxels; closes gaps up to 4 voxels wide (a 5-voxel box, METHODS lesson 1)."""


def noise_floor(array: np.ndarray, field: np.ndarray) -> float:
    """What counts as nothing in a volume in [0, 1]: three gray levels, more where the air around is noisy.

    Exact zeros are no noise: they are what windows, masks and reconstructions cut off.
    """
    every = tuple(slice(None, None, max(1, n // 128)) for n in array.shape)
    values = array[every][field[every]]
    dark = values[(values > 0) & (values < _DARK)]
    if dark.size < _MUCH * values.size:
        return NOISE_FLOOR
    counts = np.bincount((dark * 1000).astype(np.intp), minlength=1)
    return float(np.clip(_RAYLEIGH * (counts.argmax() + 0.5) / 1000, NOISE_FLOOR, _DARK))


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
        mask |= (array > noise_floor(array, field)) & field
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
