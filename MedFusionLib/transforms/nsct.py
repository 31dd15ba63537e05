"""Non-subsampled contourlets (da Cunha, Zhou, Do 2006, doi 10.1109/TIP.2006.877507).

Each scale of the maximally flat pyramid goes through a tree of two-channel fan filters that halve the directions at
each step. Every band has the size of the (extended) image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from MedFusionLib.transforms import filterbank
from MedFusionLib.transforms.filterbank import MARGIN, Bank, Rule, Scale
from MedFusionLib.transforms.nonsubsampled import frequencies, g0, h0, pyramid
from MedFusionLib.transforms.progress import Told

DEPTHS = (4, 3, 3, 2)
"""Of each scale's tree, fine to coarse: 16, 8, 8 and 4 directions."""

_LESS = (0, 1, 1, 2)
"""How much shallower than the finest scale's the other trees are."""

_ORDER = 7
"""Flatness of the fan filter: B_7, 15 x 15 voxels."""

# Of each tree depth and node: the matrix that shears the fan, and which axis is shifted by half the band.
_NODES: tuple[tuple[tuple[tuple[tuple[int, int], tuple[int, int]], tuple[int, int]], ...], ...] = (
    ((((1, 0), (0, 1)), (0, 1)),),
    ((((1, -1), (1, 1)), (0, 1)), (((1, -1), (1, 1)), (0, 1))),
    (
        (((2, 0), (-2, 2)), (1, 0)),
        (((2, 0), (2, 2)), (0, 1)),
        (((2, -2), (0, 2)), (0, 1)),
        (((2, 2), (0, 2)), (1, 0)),
    ),
    (
        (((4, -2), (-4, 4)), (0, 1)),
        (((4, 0), (-4, 2)), (1, 0)),
        (((4, 0), (4, 2)), (1, 0)),
        (((4, 2), (4, 4)), (0, 1)),
        (((4, -4), (-2, 4)), (1, 0)),
        (((2, -4), (0, 4)), (0, 1)),
        (((2, 4), (0, 4)), (0, 1)),
        (((4, 4), (2, 4)), (1, 0)),
    ),
)

# The wedge (by slope, as in the shearlets) that each leaf of a tree covers.
_WEDGES = {
    0: (0,),
    1: (0, 1),
    2: (1, 0, 2, 3),
    3: (3, 2, 1, 0, 4, 5, 6, 7),
    4: (6, 7, 5, 4, 2, 3, 1, 0, 9, 8, 10, 11, 13, 12, 14, 15),
}


def depths_of(levels: int, finest: int) -> tuple[int, ...]:
    """Depth of each scale's tree, fine to coarse, from the directions of the finest: 16 gives 4, 3, 3, 2, 2, ..."""
    less = (*_LESS, *[_LESS[-1]] * levels)[:levels]
    return tuple(max(0, finest.bit_length() - 1 - n) for n in less)


def bank(
    shape: Sequence[int],
    depths: Sequence[int] = DEPTHS,
    *,
    margin: int = MARGIN,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Bank:
    """The filters for images of this shape (H, W); the last few are kept.

    Args:
        shape: of the image, without margins.
        depths: of each scale's tree, fine to coarse, 0 to 4; 2^depth is its number of directions.
        margin: voxels of mirrored image on either side.
        dtype: of the images.
        device: of the images.
    """
    return _bank(filterbank.extended_size(shape, margin), tuple(depths), dtype, torch.device(device))


def analyze(x: Tensor, depths: Sequence[int] = DEPTHS, *, margin: int = MARGIN) -> tuple[list[Tensor], Tensor]:
    """Take (B, C, H, W) apart into each scale's (B, C, directions, *E), fine to coarse, and the low-pass (B, C, *E).

    E is the image with its margins. Directions go by slope, as in the shearlets.
    """
    filters = bank(x.shape[2:], depths, margin=margin, dtype=x.dtype, device=x.device)
    return filterbank.analyze(x, filters, margin)


def synthesize(details: Sequence[Tensor], low: Tensor, shape: Sequence[int], *, margin: int = MARGIN) -> Tensor:
    """Rebuild the image (B, C, *shape) that `analyze` took apart with the same margin."""
    depths = [bands.shape[2].bit_length() - 1 for bands in details]
    filters = bank(shape, depths, margin=margin, dtype=low.dtype, device=low.device)
    return filterbank.synthesize(details, low, filters, shape, margin)


def fuse(
    sources: Tensor,
    high: Rule,
    low: Rule,
    depths: Sequence[int] = DEPTHS,
    *,
    margin: int = MARGIN,
    together: int = 1,
    progress: Told | None = None,
) -> Tensor:
    """Take (B, K, H, W) apart, join each band by `high` or `low`, rebuild (B, 1, H, W); see `filterbank.fuse`."""
    filters = bank(sources.shape[2:], depths, margin=margin, dtype=sources.dtype, device=sources.device)
    return filterbank.fuse(sources, filters, high, low, margin=margin, together=together, progress=progress)


@lru_cache(maxsize=4)
def _bank(size: tuple[int, ...], depths: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Bank:
    # A bank made in inference mode could not be used in training later.
    with torch.inference_mode(False), torch.no_grad():
        omega = frequencies(size)
        details, (low, low_back) = pyramid(omega, len(depths))
        scales = []
        for number, ((ring, ring_back), depth) in enumerate(zip(details, depths, strict=True)):
            # Coarse scales hold low frequencies only: without stretching the fans would hardly part them.
            parts, parts_back = _leaves(omega, depth, 2 ** max(number - 1, 0))
            scales.append(Scale(ring, ring_back, parts.to(device, dtype), parts_back.to(device, dtype)))
        return Bank(size, tuple(scales), low, low_back).to(dtype, device)


def _leaves(omega: Sequence[Tensor], depth: int, stretch: int) -> tuple[Tensor, Tensor]:
    """(analysis, synthesis) responses (2^depth, *F) of a tree, by slope."""
    rows, columns = (stretch * w for w in omega)
    ones = torch.ones(torch.broadcast_shapes(rows.shape, columns.shape), dtype=torch.float64)
    leaves = [(ones, ones)]
    for nodes in _NODES[:depth]:
        children = []
        for (down, up), (matrix, shift) in zip(leaves, nodes, strict=True):
            u, v = (m[0] * rows + m[1] * columns + math.pi * e for m, e in zip(matrix, shift, strict=True))
            z = diamond(u, v)
            children += [(down * h0(z), up * g0(z)), (down * g0(-z), up * h0(-z))]
        leaves = children
    by_slope = sorted(range(len(leaves)), key=_WEDGES[depth].__getitem__)
    return torch.stack([leaves[n][0] for n in by_slope]), torch.stack([leaves[n][1] for n in by_slope])


def diamond(u: Tensor, v: Tensor, order: int = _ORDER) -> Tensor:
    """The maximally flat diamond filter B at frequencies (u, v): 1 around 0, -1 around (pi, pi), between -1 and 1."""
    cosines = [[torch.cos(i * w) for i in range(order + 1)] for w in (u, v)]
    total = torch.zeros(torch.broadcast_shapes(u.shape, v.shape), dtype=torch.float64)
    for (i, j), c in diamond_coefficients(order).items():
        total += c * (cosines[0][i] * cosines[1][j] + cosines[0][j] * cosines[1][i])
    return total


@lru_cache(maxsize=8)
def diamond_coefficients(order: int) -> dict[tuple[int, int], float]:
    """Coefficients c of B(u, v) = sum c_ij (cos iu cos jv + cos ju cos iv), i > j, i + j odd.

    They are the ones with B = 1 and no other derivative of total degree below 2 * order at (0, 0). In x = cos u - 1 and
    y = cos v - 1 that says: no other monomial of degree below `order`; each gives a linear equation.
    """
    pairs = [(i, j) for i in range(order + 1) for j in range(i) if (i + j) % 2]
    monomials = [(p, d - p) for d in range(order) for p in range(d, (d - 1) // 2, -1)]
    chebyshev = _chebyshev_around_one(order)
    rows = [
        [chebyshev[i][p] * chebyshev[j][q] + chebyshev[j][p] * chebyshev[i][q] for i, j in pairs] for p, q in monomials
    ]
    right = torch.zeros(len(pairs), dtype=torch.float64)
    right[0] = 1
    solved = torch.linalg.solve(torch.tensor(rows, dtype=torch.float64), right)
    return dict(zip(pairs, solved.tolist(), strict=True))


def _chebyshev_around_one(order: int) -> list[list[float]]:
    """Coefficients of T_i(1 + x) by powers of x: T_i+1 = 2 (1 + x) T_i - T_i-1."""
    found = [[1.0] + [0.0] * order, [1.0, 1.0] + [0.0] * (order - 1)]
    for _ in range(order - 1):
        last, before = found[-1], found[-2]
        found.append([2 * (a + b) - c for a, b, c in zip(last, [0.0, *last[:-1]], before, strict=True)])
    return found[: order + 1]
