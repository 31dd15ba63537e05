"""Rules that join the coefficients of several sources, shared by the methods: (B, K, *S) -> (B, 1, *S).

Ties go to the first source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from MedFusionLib.transforms.window import box_max, box_sum


def largest(x: Tensor, ties: Tensor | None = None) -> Tensor:
    """Index (B, 1, *S) of the largest source at each voxel, as uint8: int64 would be as large as two sources.

    Where several are the largest, the one of them with the largest `ties` (B, K, *S), if given.
    """
    if ties is not None:
        x = torch.where(x == x.amax(1, keepdim=True), ties, -torch.inf)
    top, index = x[:, :1], torch.zeros_like(x[:, :1], dtype=torch.uint8)
    for k in range(1, x.shape[1]):
        index = torch.where(x[:, k : k + 1] > top, k, index)
        top = torch.maximum(top, x[:, k : k + 1])
    return index


def chosen(x: Tensor, index: Tensor) -> Tensor:
    """The values (B, 1, *S) of the sources that `largest` chose."""
    value = x[:, :1]
    for k in range(1, x.shape[1]):
        value = torch.where(index == k, x[:, k : k + 1], value)
    return value


def chosen_inside(x: Tensor, shape: Sequence[int], margin: int, decide: Callable[[Tensor], Tensor]) -> Tensor:
    """Choose by a rule within the image, and by magnitude in the margins that a filter bank has mirrored around it.

    A rule that looks at a whole band is neither slowed nor misled by what is not image.

    Args:
        x: (N, K, *E) bands of an image with margins.
        shape: S of the image.
        margin: voxels before it, along each axis.
        decide: (N, K, *S) without gradient -> index (N, 1, *S).
    """
    index = largest(x.detach().abs())
    _inner(index, shape, margin).copy_(decide(_inner(x.detach(), shape, margin)))
    return chosen(x, index)


def _inner(x: Tensor, shape: Sequence[int], margin: int) -> Tensor:
    for axis, size in enumerate(shape, 2):
        x = x.narrow(axis, margin, size)
    return x


def strongest(x: Tensor) -> Tensor:
    """The coefficient of the largest magnitude at each voxel."""
    return chosen(x, largest(x.detach().abs()))


def most_salient(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Choose-max with consistency check: the source that is the most salient for most of the neighborhood.

    Saliency is the largest magnitude among the neighbors along each axis (3 x 3, or 3 x 3 x 3); the choice of each
    voxel then follows the majority of the choices in that same neighborhood (Li, Manjunath, Mitra 1995,
    Graphical Models and Image Processing 57(3):235-245).
    """
    return chosen(x, majority(largest(box_max(x.detach().abs(), axes)), x.shape[1], axes))


def majority(choice: Tensor, count: int, axes: Sequence[int]) -> Tensor:
    """Index (B, 1, *S) of that of `count` sources which most of the 3-voxel neighborhood along each axis chose."""
    index, most = torch.zeros_like(choice), box_sum((choice == 0).float(), axes)
    rest = 3 ** len(axes) - most  # the last source has the votes that no other has
    for k in range(1, count):
        votes = rest if k == count - 1 else box_sum((choice == k).float(), axes)
        rest = rest - votes
        index = torch.where(votes > most, k, index)
        most = torch.maximum(votes, most)
    return index


def low_pass(x: Tensor, rule: str, axes: Sequence[int]) -> Tensor:
    """Join low-pass images by "mean", "maximum", or "energy": weighted by their squared local energies.

    Where one source is twice as bright it has 94 % of the weight; where they are alike the mean is taken, so that the
    choice changes hands without an edge.
    """
    if rule == "mean":
        return x.mean(1, keepdim=True)
    if rule == "maximum":
        return x.amax(1, keepdim=True)
    # The floor makes the weights equal where all sources are black.
    weights = (box_sum(x.detach() ** 2, axes) + 1e-12) ** 2
    return (weights * x).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
