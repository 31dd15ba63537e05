"""How active each voxel's neighborhood is: the measures that fusion rules compare, (B, C, H, W) -> (B, C, H, W).

All are shifted additions with a half-sample symmetric border, so that nothing is active in a constant image.
Neighbors on the diagonals weigh 1 / sqrt(2), as they are further away.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from MedFusionLib.transforms.window import box_sum, symmetric_pad

_AXES = (2, 3)
_DIAGONAL = 0.5**0.5

_BINOMIAL = {3: (1 / 4, 2 / 4, 1 / 4), 5: (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)}


def weighted_mean(x: Tensor, size: int = 3) -> Tensor:
    """Binomial mean over 3 x 3 ([1 2 1] / 4 along each axis) or 5 x 5 ([1 4 6 4 1] / 16) voxels."""
    return _filtered(_filtered(x, _BINOMIAL[size], 2), _BINOMIAL[size], 3)


def local_energy(x: Tensor) -> Tensor:
    """Sum of the squares over 3 x 3 voxels."""
    return box_sum(x**2, _AXES)


def weighted_local_energy(x: Tensor) -> Tensor:
    """WLE: binomial mean of the squares over 3 x 3 voxels."""
    return weighted_mean(x**2)


def modified_laplacian(x: Tensor, diagonals: bool = False) -> Tensor:
    """ML, sum of the absolute second differences along each axis; EML with both diagonals.

    Opposite second differences cannot cancel as in the Laplacian (Nayar, Nakagawa 1994, IEEE TPAMI 16(8):824-831).
    """
    at = _Neighbors(x)
    total = (2 * x - at(0, -1) - at(0, 1)).abs() + (2 * x - at(-1, 0) - at(1, 0)).abs()
    if diagonals:
        for column in (-1, 1):
            total = total + _DIAGONAL * (2 * x - at(-1, column) - at(1, -column)).abs()
    return total


def sum_modified_laplacian(x: Tensor, diagonals: bool = False, threshold: float = 0.0) -> Tensor:
    """SML, sum of `modified_laplacian` over 3 x 3 voxels where it reaches the threshold; NSML with both diagonals."""
    activity = modified_laplacian(x, diagonals)
    return box_sum(torch.where(activity >= threshold, activity, 0), _AXES)


def weighted_modified_laplacian(x: Tensor, size: int = 3) -> Tensor:
    """WSML: binomial mean of `modified_laplacian` over 3 x 3 or 5 x 5 voxels."""
    return weighted_mean(modified_laplacian(x), size)


def weighted_extended_laplacian(x: Tensor, variant: str = "code") -> Tensor:
    """WSEML of Yin, Liu, Liu, Chen 2019 (doi 10.1109/TIM.2018.2838778).

    Args:
        x: (B, C, H, W).
        variant: "paper", binomial mean of the modified Laplacian with diagonals; "code", what its authors' program
            computes instead: the absolute first differences to the eight neighbors, root of their 3 x 3 mean,
            binomial mean.
    """
    if variant == "paper":
        return weighted_mean(modified_laplacian(x, diagonals=True))
    at, total = _Neighbors(x), torch.zeros_like(x)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            if row or column:
                total = total + (x - at(row, column)).abs() * (_DIAGONAL if row and column else 1)
    return weighted_mean(_root(box_sum(total, _AXES) / 9))


def spatial_frequency(x: Tensor, diagonals: bool = False) -> Tensor:
    """SF, root mean square over 3 x 3 voxels of the differences to the left and upper neighbor; MSF with diagonals."""
    at = _Neighbors(x)
    squares = (x - at(0, -1)) ** 2 + (x - at(-1, 0)) ** 2
    if diagonals:
        squares = squares + _DIAGONAL * ((x - at(-1, -1)) ** 2 + (x - at(-1, 1)) ** 2)
    return _root(box_sum(squares, _AXES) / 9)


def average_gradient(x: Tensor) -> Tensor:
    """Modified average gradient: 3 x 3 mean of the length of the gradient in four directions.

    The paper that uses it (Hou et al. 2019, doi 10.1007/s11517-018-1935-8) prints no formula that could be read: that
    the diagonals count in full is ours.
    """
    at, squares = _Neighbors(x), torch.zeros_like(x)
    for row, column in ((0, 1), (1, 0), (1, 1), (1, -1)):
        squares = squares + (at(row, column) - x) ** 2
    return box_sum(_root(squares / 4), _AXES) / 9


def local_similarity(a: Tensor, b: Tensor) -> Tensor:
    """How alike two images are over 3 x 3 voxels, from -1 (inverse) over 0 (unlike, or both zero) to 1 (equal)."""
    both = box_sum(a * b, _AXES)
    # The floor makes it 0 where both are zero; it is no larger than the rounding of images in [0, 1].
    return 2 * both / (local_energy(a) + local_energy(b) + 1e-12)


_LAWS = {"L": (1, 4, 6, 4, 1), "E": (-1, -2, 0, 2, 1), "S": (-1, 0, 2, 0, -1), "R": (1, -4, 6, -4, 1)}
"""Level, edge, spot and ripple over 5 voxels."""


def texture_energy(x: Tensor) -> Tensor:
    """Sum over 7 x 7 voxels of the magnitude of Laws' filters L5E5, E5S5, S5S5 and R5R5.

    Laws 1980, Textured image segmentation, USC report 940. The first two count along both axes.
    """
    total = torch.zeros_like(x)
    for rows, columns in ("LE", "EL", "ES", "SE", "SS", "RR"):
        response = _filtered(_filtered(x, _LAWS[rows], 2), _LAWS[columns], 3)
        total = total + response.abs() * (1 if rows == columns else 0.5)
    for axis in _AXES:
        total = _filtered(total, (1,) * 7, axis)
    return total


def _filtered(x: Tensor, taps: Sequence[float], axis: int) -> Tensor:
    """Sum of the neighbors along one axis, weighted by an odd number of taps."""
    size, half = x.shape[axis], len(taps) // 2
    padded, total = symmetric_pad(x, axis, half, half), torch.zeros_like(x)
    for n, tap in enumerate(taps):
        if tap:
            total = total + padded.narrow(axis, n, size) * tap
    return total


class _Neighbors:
    """Images of the neighbor at (row, column), each -1, 0 or 1 away."""

    def __init__(self, x: Tensor):
        self._shape = x.shape
        self._padded = symmetric_pad(symmetric_pad(x, 2, 1, 1), 3, 1, 1)

    def __call__(self, row: int, column: int) -> Tensor:
        return self._padded.narrow(2, 1 + row, self._shape[2]).narrow(3, 1 + column, self._shape[3])


def _root(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1).sqrt(), 0)
