"""Learn the filters of convolutional sparse coding: code the images, move the filters toward what is left, repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from MedFusionLib.transforms.convolutional import encode, spectra

_STEPS = 30
"""Of the coder in each round, and of the power method that finds the filters' step."""


def learn_filters(
    images: Sequence[Tensor],
    filters: Tensor,
    sparsity: float,
    *,
    rounds: int = 40,
    report: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Filters (M, h, w) of unit norm that code images (H, W) of one size with fewer and smaller values.

    Args:
        images: with their means (or smooth bases) removed.
        filters: to start from.
        sparsity: weight of the maps' absolute sum.
        rounds: of coding all images and moving the filters.
        report: told the round and the mean objective before its step.
    """
    shape = (images[0].shape[0], images[0].shape[1])
    aims = torch.stack([torch.fft.rfft2(image) for image in images])
    for number in range(rounds):
        maps = encode(torch.stack(list(images)), filters, sparsity, iterations=_STEPS)
        if report:
            report(number, _objective(aims, maps, filters, sparsity, shape))
        filters = _moved(filters, torch.fft.rfft2(maps), aims, shape)
    return filters


def _objective(aims: Tensor, maps: Tensor, filters: Tensor, sparsity: float, shape: tuple[int, int]) -> float:
    left = torch.fft.irfft2((torch.fft.rfft2(maps) * spectra(filters, shape)).sum(1) - aims, s=shape)
    return float((left.square().sum() / 2 + sparsity * maps.abs().sum()) / len(aims))


def _moved(filters: Tensor, maps: Tensor, aims: Tensor, shape: tuple[int, int]) -> Tensor:
    """Accelerated projected gradient steps on the squared error; the norm of each filter stays 1."""
    step = 1 / _largest_eigenvalue(filters, maps, shape)
    ahead = filters
    for number in range(_STEPS):
        error = (maps * spectra(ahead, shape)).sum(1) - aims
        before, filters = filters, _normalized(ahead - step * _back(error, maps, filters, shape))
        ahead = filters + number / (number + 3) * (filters - before)
    return filters


def _back(error: Tensor, maps: Tensor, filters: Tensor, shape: tuple[int, int]) -> Tensor:
    """The gradient of half the squared error with respect to the filters."""
    wide = torch.fft.irfft2((maps.conj() * error[:, None]).sum(0), s=shape)
    return wide[:, : filters.shape[1], : filters.shape[2]]


def _largest_eigenvalue(filters: Tensor, maps: Tensor, shape: tuple[int, int]) -> float:
    direction, size = filters, 1.0
    for _ in range(_STEPS):
        direction = _back((maps * spectra(direction, shape)).sum(1), maps, filters, shape)
        size = float(direction.norm())
        direction = direction / max(size, 1e-12)
    return 1.05 * max(size, 1e-12)


def _normalized(filters: Tensor) -> Tensor:
    return filters / filters.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
