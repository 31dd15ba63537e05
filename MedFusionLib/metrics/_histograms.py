"""Counted histograms of gray levels, of one image or of two at once, and what information theory reads from them.

Histograms are shares: they sum to 1. None of it has a gradient: levels are counted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from MedFusionLib.metrics._domain import count, divided

BINS = 256
"""One for each gray level."""

FEW = 20_000
"""Below so many voxels of a mask, 256 x 256 cells stay so empty that chance looks like dependence."""

COARSE = 4
"""Levels that share a bin there."""


def histogram(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, C, 256) of (B, C, *S) over the mask."""
    return torch.stack([_counted(level, mask, BINS) for level in _levels(x).unbind(1)], 1).to(x.dtype) / _number(
        x, mask
    )


def joint_histogram(x: Tensor, others: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, C, 256, 256) of x (B, 1, *S), the rows, with each of the others (B, C, *S); coarser on a small mask."""
    levels = _binned(_levels(x), mask)
    cells = []
    for n in range(others.shape[1]):
        columns = _binned(_levels(others[:, n : n + 1]), mask)
        cells.append(_counted((levels * BINS + columns)[:, 0], mask, BINS * BINS))
    shares = torch.stack(cells, 1).to(x.dtype) / _number(x, mask)
    return shares.unflatten(-1, (BINS, BINS))


def entropy(shares: Tensor) -> Tensor:
    """Entropy in bits of histograms (..., bins)."""
    return torch.special.entr(shares).sum(-1) / math.log(2)


def mutual_information(joint: Tensor) -> Tensor:
    """What either image tells of the other, in bits, from joint histograms (..., 256, 256)."""
    told = torch.xlogy(joint, divided(joint, independent(joint))).sum((-2, -1)) / math.log(2)
    return told.clamp(min=0)


def independent(joint: Tensor) -> Tensor:
    """The joint histograms that the two images would have if they had nothing to do with each other."""
    return joint.sum(-1, keepdim=True) * joint.sum(-2, keepdim=True)


def _levels(x: Tensor) -> Tensor:
    return (x + 0.5).floor().clamp(0, BINS - 1).long()


def _binned(levels: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return levels
    few = mask.flatten(1).sum(1) < FEW
    return levels // torch.where(few, COARSE, 1).reshape(-1, *[1] * (levels.ndim - 1))


def _counted(codes: Tensor, mask: Tensor | None, size: int) -> Tensor:
    """(B, size) of how often each code of (B, *S) occurs, all items in one count."""
    batch = codes.shape[0]
    codes = codes + size * torch.arange(batch, device=codes.device).reshape(-1, *[1] * (codes.ndim - 1))
    if mask is not None:
        codes = torch.where(mask[:, 0], codes, batch * size)
    return torch.bincount(codes.flatten(), minlength=batch * size + 1)[:-1].unflatten(0, (batch, size))


def _number(x: Tensor, mask: Tensor | None) -> Tensor:
    return count(x, mask)[..., None]
