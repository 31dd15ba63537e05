"""Mutual information with its slope, for images that are compared voxel by voxel.

The histogram is smooth in the moving image (cubic B-spline windows, as Mattes et al. 2003, doi
10.1109/TMI.2003.809072), so that it has a derivative.
"""

from __future__ import annotations

import numpy as np

_BINS = 32


class Information:
    """What a reference tells about any moving image.

    Args:
        fixed: (N,) values in [0, 1].
        bins: of the histograms.
    """

    def __init__(self, fixed: np.ndarray, bins: int = _BINS):
        self._bins = bins
        self._rows = np.minimum((fixed * bins).astype(np.intp), bins - 1)
        # Two bins on either side hold what the windows spread beyond 0 and 1.
        self._columns = bins + 4

    def __call__(self, moving: np.ndarray) -> tuple[float, np.ndarray]:
        """(mutual information in nats, (N,) its derivative by the values of the moving image)."""
        place = moving * (self._bins - 1) + 1.5
        first = np.floor(place).astype(np.intp) - 1
        share = place - np.floor(place)
        where = self._rows * self._columns + first
        weights, slopes = _windows(share)
        size = self._bins * self._columns
        counts = sum(np.bincount(where + n, weights[n], size) for n in range(4))
        joint = np.reshape(counts / len(moving), (self._bins, self._columns))
        rows, columns = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(joint > 0, np.log(joint / (rows * columns)), 0.0)
        slope = np.zeros(len(moving))
        for n in range(4):
            slope += ratio.ravel()[where + n] * slopes[n]
        return float((joint * ratio).sum()), slope * (self._bins - 1) / len(moving)


def _windows(share: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The cubic B-spline's four values at a place between two knots, and its slopes there."""
    s, t = share, 1 - share
    values = [t**3 / 6, (3 * s**3 - 6 * s**2 + 4) / 6, (3 * t**3 - 6 * t**2 + 4) / 6, s**3 / 6]
    slopes = [-(t**2) / 2, (3 * s**2 - 4 * s) / 2, -(3 * t**2 - 4 * t) / 2, s**2 / 2]
    return values, slopes
