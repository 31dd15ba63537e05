"""Convolutional sparse coding: an image as a sum of small filters, each convolved with a map that is nearly empty.

    minimize over the maps X_m:  1/2 || sum_m D_m * X_m - s ||^2 + sparsity * sum_m || X_m ||_1

Solved by ADMM in the Fourier domain (Bristow, Eriksson, Lucey 2013; Wohlberg 2016, doi 10.1109/TIP.2015.2495260): each
frequency has a system of rank one, solved exactly by the Sherman-Morrison formula. Borders are periodic.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

MODEL = "convolutional_dictionaries"
"""Where the learned filters are."""

_RELAXATION = 1.8
_MOST_CHANGE = 1000.0
"""Over-relaxation, and the largest factor by which the penalty changes at once."""

Told = Callable[[float], None]


def spectra(filters: Tensor, shape: tuple[int, int]) -> Tensor:
    """(M, H, W // 2 + 1) complex: the transforms of filters (M, h, w) with their first corner at the origin."""
    return torch.fft.rfft2(filters, s=shape)


def encode(
    image: Tensor,
    filters: Tensor,
    sparsity: float,
    *,
    penalty: float | None = None,
    iterations: int = 500,
    tolerance: float = 2e-3,
    progress: Told | None = None,
) -> Tensor:
    """The maps (M, H, W) of one image (H, W).

    Args:
        image: what to code; its mean should be removed.
        filters: (M, h, w) of unit norm.
        sparsity: weight of the maps' absolute sum.
        penalty: ADMM's first penalty, 100 * sparsity + 0.5 if None; it adapts to balance both residuals.
        iterations: at most.
        tolerance: both relative residuals end below it; at 2e-3 the objective is within 0.1 % of its minimum.
        progress: told the share of `iterations` now and then.
    """
    shape = (image.shape[0], image.shape[1])
    bank = spectra(filters.to(image), shape)
    power, conjugate = bank.abs().square().sum(0), bank.conj().resolve_conj()
    aim = conjugate * torch.fft.rfft2(image)
    rho = 100 * sparsity + 0.5 if penalty is None else penalty
    balance = 1 + 18.3 ** (math.log10(sparsity) + 1)
    maps = image.new_zeros(len(filters), *shape)
    dual = torch.zeros_like(maps)
    for number in range(iterations):
        near = torch.fft.rfft2(maps - dual).add_(aim, alpha=1 / rho)
        # Sherman-Morrison: the minimum of ||D X - s||^2 + rho ||X - near||^2 at every frequency.
        near.addcmul_(conjugate, (bank * near).sum(0) / (rho + power), value=-1)
        solved = torch.fft.irfft2(near, s=shape)
        relaxed = torch.lerp(maps, solved, _RELAXATION)
        before, maps = maps, torch.nn.functional.softshrink(relaxed.add_(dual), sparsity / rho)
        dual = relaxed.sub_(maps)  # the relaxed maps with the dual already added
        primal, change = _residuals(solved, maps, before, dual)
        if max(primal, change) < tolerance:
            break
        factor = _adapted(primal, change, balance)
        rho, dual = rho * factor, dual.div_(factor)
        if progress and number % 8 == 7:
            progress(number / iterations)
    return maps


def decode(maps: Tensor, filters: Tensor) -> Tensor:
    """The image (..., H, W) of maps (..., M, H, W)."""
    shape = (maps.shape[-2], maps.shape[-1])
    return torch.fft.irfft2((torch.fft.rfft2(maps) * spectra(filters.to(maps), shape)).sum(-3), s=shape)


def objective(image: Tensor, maps: Tensor, filters: Tensor, sparsity: float) -> float:
    """What `encode` minimizes."""
    return float((decode(maps, filters) - image).square().sum() / 2 + sparsity * maps.abs().sum())


def smooth_base(x: Tensor, smoothness: float, margin: int = 16) -> Tensor:
    """The base of (..., H, W): argmin_b ||x - b||^2 + smoothness * ||gradient of b||^2, on a mirrored border."""
    from MedFusionLib.transforms.window import symmetric_pad

    rows, columns = x.ndim - 2, x.ndim - 1
    wide = symmetric_pad(symmetric_pad(x, rows, margin, margin), columns, margin, margin)
    height, width = wide.shape[-2:]
    v = torch.fft.fftfreq(height, device=x.device, dtype=x.dtype)[:, None] * (2 * math.pi)
    u = torch.fft.rfftfreq(width, device=x.device, dtype=x.dtype) * (2 * math.pi)
    gain = 1 + smoothness * (4 - 2 * v.cos() - 2 * u.cos())
    base = torch.fft.irfft2(torch.fft.rfft2(wide) / gain, s=(height, width))
    return base.narrow(rows, margin, x.shape[rows]).narrow(columns, margin, x.shape[columns])


def _residuals(solved: Tensor, maps: Tensor, before: Tensor, dual: Tensor) -> tuple[float, float]:
    """Relative primal and dual residuals."""
    norms = [torch.linalg.vector_norm(x) for x in (solved - maps, solved, maps, maps - before, dual)]
    apart, solved_norm, maps_norm, moved, dual_norm = torch.stack(norms).tolist()
    tiny = 1e-30
    return apart / max(solved_norm, maps_norm, tiny), moved / max(dual_norm, tiny)


def _adapted(primal: float, change: float, balance: float) -> float:
    """The factor of the penalty that brings the two residuals closer to their balance (Wohlberg 2017)."""
    if primal <= 0 or change <= 0:
        return 1.0
    ratio = primal / (change * balance)
    factor = min(math.sqrt(max(ratio, 1 / ratio)), _MOST_CHANGE)
    # Wohlberg's rule changes it where the residuals differ by more than a fifth.
    if ratio > 1.2:
        return factor
    return 1 / factor if ratio < 1 / 1.2 else 1.0


def cosine_filters(count: int = 32, size: int = 8) -> Tensor:
    """The (count, size, size) cosines of lowest frequency but the constant one, of unit norm."""
    place = torch.arange(size, dtype=torch.float64)
    waves = torch.cos(math.pi * (place + 0.5) * place[:, None] / size)
    order = sorted(((a, b) for a in range(size) for b in range(size)), key=lambda pair: (sum(pair), pair))
    atoms = torch.stack([torch.outer(waves[a], waves[b]) for a, b in order[1 : count + 1]])
    return (atoms / atoms.flatten(1).norm(dim=1)[:, None, None]).float()


def activity(maps: Tensor, radius: int) -> Tensor:
    """(H, W): how much filters are used around each voxel, of maps (M, H, W)."""
    from MedFusionLib.transforms.window import box_mean

    used = maps.abs().sum(0)[None, None]
    return box_mean(used, radius, (2, 3))[0, 0].to(maps.dtype)


def of_the_most_active(parts: list[Tensor], activities: list[Tensor]) -> Tensor:
    """At each voxel the part (..., H, W) of the source with the largest activity (H, W); ties go to the first."""
    best, joined = activities[0], parts[0]
    for part, active in zip(parts[1:], activities[1:], strict=True):
        more = active > best
        joined, best = torch.where(more, part, joined), torch.maximum(best, active)
    return joined


def extended(x: Tensor, filters: Tensor) -> Tensor:
    """(..., H, W) mirrored beyond its end to twice the filters' size, if it is smaller."""
    from MedFusionLib.transforms.window import symmetric_pad

    for axis, least in ((x.ndim - 2, 2 * filters.shape[-2]), (x.ndim - 1, 2 * filters.shape[-1])):
        x = symmetric_pad(x, axis, 0, max(0, least - x.shape[axis]))
    return x


def shares(progress: Told | None, start: int, count: int) -> Told | None:
    """Progress of one of `count` equal pieces of work, told as progress of all of it."""
    return progress and (lambda share: progress((start + share) / count))


def filters_named(name: str, dictionary: str = "learned") -> Tensor:
    """(32, 8, 8) filters of the model `convolutional_dictionaries`, or cosines in their place.

    Args:
        name: details (what a smooth base leaves), cartoon and texture (its two components), or arrangement (the
            pooled maps of details).
        dictionary: "learned" or "cosines".

    Raises:
        FileError: if the model is missing or damaged.
    """
    from MedFusionLib.weights import find_model

    return cosine_filters() if dictionary == "cosines" else find_model(MODEL).weights()[name]
