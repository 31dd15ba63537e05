"""Convolutional sparse coding: an image as a sum of small filters, each convolved with a map that is nearly empty.

    minimize over the maps X_m:  1/2 || sum_m D_m * X_m - s ||^2 + sparsity * sum_m || X_m ||_1

Solved by ADMM in the Fourier domain (Bristow, Eriksson, Lucey 2013; Wohlberg 2016, doi 10.1109/TIP.2015.2495260): each
frequency has a system of rank one, solved exactly by the Sherman-Morrison formula. Borders are periodic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from MedFusionLib.transforms.progress import Told, shares

MODEL = "convolutional_dictionaries"
"""Where the learned filters are."""

_RELAXATION = 1.8
_MOST_CHANGE = 1000.0
"""Over-relaxation, and the largest factor by which the penalty changes at once."""

_ADAPTING = 64
"""Iterations in which the penalty adapts: one that never rests may keep the maps from converging."""

_CACHE_VALUES, _DEVICE_VALUES = 2**18, 2**26
"""Values of maps that are worked on at once on a CPU and on an accelerator: few enough for the cache and the memory,
enough to hide what each step costs besides arithmetic."""


def spectra(filters: Tensor, shape: tuple[int, int]) -> Tensor:
    """(M, H, W // 2 + 1) complex: the transforms of filters (M, h, w) with their first corner at the origin."""
    return torch.fft.rfft2(filters, s=shape)


def encode(
    images: Tensor,
    filters: Tensor,
    sparsity: float,
    *,
    penalty: float | None = None,
    iterations: int = 500,
    tolerance: float = 2e-3,
    progress: Told | None = None,
) -> Tensor:
    """The maps (N, M, H, W) of images (N, H, W), each solved for itself.

    Args:
        images: what to code; their means should be removed.
        filters: (M, h, w) of unit norm.
        sparsity: weight of the maps' absolute sum.
        penalty: ADMM's first penalty, 100 * sparsity + 0.5 if None; it adapts to balance both residuals.
        iterations: at most.
        tolerance: both relative residuals end below it; at 2e-3 the objective is within 0.1 % of its minimum.
        progress: told the share of the work now and then.
    """
    many = _at_once(images, len(filters))
    rho = 100 * sparsity + 0.5 if penalty is None else penalty
    parts = []
    for start in range(0, len(images), many):
        some = images[start : start + many]
        told = shares(progress, start, len(images), len(some))
        parts.append(_Admm(some, filters, sparsity, rho).solve(iterations, tolerance, told))
    return torch.cat(parts) if parts else images.new_zeros(0, len(filters), *images.shape[1:])


class _Admm:
    """ADMM of several images (N, H, W) side by side, each with a penalty of its own.

    Works on a few filters at a time, so that what a step makes is still in the cache in the next.
    """

    def __init__(self, images: Tensor, filters: Tensor, sparsity: float, rho: float):
        self._shape = (images.shape[1], images.shape[2])
        self._sparsity = sparsity
        self._balance = 1 + 18.3 ** (math.log10(sparsity) + 1)
        self._bank = spectra(filters.to(images), self._shape)
        self._power, self._conjugate = self._bank.abs().square().sum(0), self._bank.conj().resolve_conj()
        self._aims = torch.fft.rfft2(images)[:, None]
        self._rho = [rho] * len(images)
        self._maps = images.new_zeros(len(images), len(filters), *self._shape)
        self._dual, self._near = torch.zeros_like(self._maps), self._aims.repeat(1, len(filters), 1, 1)
        many = _at_once(images, len(images))
        self._groups = [slice(first, first + many) for first in range(0, len(filters), many)]

    def solve(self, iterations: int, tolerance: float, progress: Told | None) -> Tensor:
        """The maps (N, M, H, W); an image leaves the work when it has converged."""
        done = torch.empty_like(self._maps)
        index = list(range(len(done)))
        for number in range(iterations):
            residuals = self._iterate()
            over = [n for n, both in enumerate(residuals) if max(both) < tolerance]
            if over:
                done[[index[n] for n in over]] = self._maps[over]
                rest = [n for n in range(len(index)) if n not in over]
                if not rest:
                    return done
                self._keep(rest)
                index, residuals = [index[n] for n in rest], [residuals[n] for n in rest]
            if number < _ADAPTING:
                self._adapt(residuals)
            if progress and number % 8 == 7:
                progress(number / iterations)
        done[index] = self._maps
        return done

    def _iterate(self) -> list[tuple[float, float]]:
        """One iteration; each image's relative residuals."""
        share = self._aims.clone()
        for some in self._groups:
            near = torch.fft.rfft2(self._maps[:, some] - self._dual[:, some])
            share -= (self._bank[some] * near).sum(1, keepdim=True)
            self._near[:, some] = near
        for n, rho in enumerate(self._rho):
            share[n] /= rho + self._power
        norms = torch.stack([self._stepped(some, share) for some in self._groups]).square().sum(0).sqrt()
        return [_residuals(*each) for each in norms.tolist()]

    def _stepped(self, some: slice, share: Tensor) -> Tensor:
        """Renew the maps of some filters; the norms (N, 5) that `_residuals` takes."""
        maps, dual = self._maps[:, some], self._dual[:, some]
        # Sherman-Morrison: the minimum of ||D X - s||^2 + rho ||X - near||^2 at every frequency.
        solved = torch.fft.irfft2(self._near[:, some].addcmul_(self._conjugate[some], share), s=self._shape)
        relaxed = torch.lerp(maps, solved, _RELAXATION).add_(dual)
        # The next maps are the soft threshold; what it takes off is the next dual.
        for n, rho in enumerate(self._rho):
            torch.clamp(relaxed[n], -self._sparsity / rho, self._sparsity / rho, out=dual[n])
        fresh = relaxed.sub_(dual)
        compared = (solved - fresh, solved, fresh, maps.sub_(fresh), dual)
        norms = torch.stack([torch.linalg.vector_norm(x, dim=(1, 2, 3)) for x in compared], 1)
        maps.copy_(fresh)
        return norms

    def _adapt(self, residuals: list[tuple[float, float]]) -> None:
        for n, both in enumerate(residuals):
            factor = _adapted(*both, self._balance)
            if factor != 1:
                self._rho[n] *= factor
                self._dual[n] /= factor

    def _keep(self, rest: list[int]) -> None:
        kept = (self._aims, self._maps, self._dual, self._near)
        self._aims, self._maps, self._dual, self._near = (x[rest] for x in kept)
        self._rho = [self._rho[n] for n in rest]


def decode(maps: Tensor, filters: Tensor) -> Tensor:
    """The image (..., H, W) of maps (..., M, H, W)."""
    shape = (maps.shape[-2], maps.shape[-1])
    return torch.fft.irfft2((torch.fft.rfft2(maps) * spectra(filters.to(maps), shape)).sum(-3), s=shape)


def objective(images: Tensor, maps: Tensor, filters: Tensor, sparsity: float) -> float:
    """What `encode` minimizes, summed over the images (N, H, W) with maps (N, M, H, W)."""
    return float((decode(maps, filters) - images).square().sum() / 2 + sparsity * maps.abs().sum())


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


def _residuals(apart: float, solved: float, maps: float, moved: float, dual: float) -> tuple[float, float]:
    """Relative primal and dual residual, from the norms of what they compare."""
    tiny = 1e-30
    return apart / max(solved, maps, tiny), moved / max(dual, tiny)


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
    """(..., H, W): how much filters are used around each voxel, of maps (..., M, H, W)."""
    from MedFusionLib.transforms.window import box_mean

    used = maps.abs().sum(-3)
    return box_mean(used, radius, (used.ndim - 2, used.ndim - 1)).to(maps.dtype)


def pieces(images: Tensor, filters: Tensor, progress: Told | None) -> Iterator[tuple[Tensor, Told | None]]:
    """Parts (b, K, H, W) of images (B, K, H, W), as many at once as memory likes, each with its share of the progress.

    Images smaller than two filters are mirrored beyond their end.
    """
    images = extended(images, filters)
    many = max(1, _at_once(images, len(filters)) // images.shape[1])
    for start in range(0, len(images), many):
        some = images[start : start + many]
        yield some, shares(progress, start, len(images), len(some))


def extended(x: Tensor, filters: Tensor) -> Tensor:
    """(..., H, W) mirrored beyond its end to twice the filters' size, if it is smaller."""
    from MedFusionLib.transforms.window import symmetric_pad

    for axis, least in ((x.ndim - 2, 2 * filters.shape[-2]), (x.ndim - 1, 2 * filters.shape[-1])):
        x = symmetric_pad(x, axis, 0, max(0, least - x.shape[axis]))
    return x


def _at_once(images: Tensor, filters: int) -> int:
    """How many images (..., H, W) with as many maps each are worked on at once."""
    limit = _CACHE_VALUES if images.device.type == "cpu" else _DEVICE_VALUES
    return max(1, limit // (filters * images.shape[-2] * images.shape[-1]))


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
