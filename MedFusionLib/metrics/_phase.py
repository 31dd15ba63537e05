"""Kovesi's phase congruency (the second kind): where waves of all lengths are in step, an edge or a line is seen."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from MedFusionLib.metrics._domain import divided

SCALES, ORIENTATIONS = 4, 6
_SHORTEST, _FACTOR, _BANDWIDTH = 3.0, 2.1, 0.55
_ANGULAR = math.pi / ORIENTATIONS / 1.2
_NOISE, _NARROW, _STEEP = 2.0, 0.5, 10.0
_SMALL = 1e-4


def congruency(x: Tensor) -> Tensor:
    """Phase congruency, its largest and its smallest moment over orientations, of (N, H, W): (3, N, H, W)."""
    radial, angular, noise = _filters(x.shape[1], x.shape[2], x.dtype, x.device)
    spectrum = torch.fft.fft2(x)
    energies, amplitudes, xx, yy, xy = (torch.zeros_like(x) for _ in range(5))
    for n in range(ORIENTATIONS):
        response = torch.fft.ifft2(spectrum[:, None] * (radial * angular[n]))
        energy, amplitude = _energy(response, noise[n])
        energies, amplitudes = energies + energy, amplitudes + amplitude
        along = divided(energy, amplitude)
        c, s = math.cos(n * math.pi / ORIENTATIONS), math.sin(n * math.pi / ORIENTATIONS)
        xx, yy, xy = xx + (c * along) ** 2, yy + (s * along) ** 2, xy + c * s * along**2
    half = ORIENTATIONS / 2
    spread = _root((xy / ORIENTATIONS) ** 2 + ((xx - yy) / half) ** 2) + _SMALL
    moments = (xx + yy) / half
    return torch.stack([energies / (amplitudes + _SMALL), (moments + spread) / 2, (moments - spread) / 2])


def _energy(response: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """What the scales agree on above noise, and the sum of their amplitudes, of responses (N, SCALES, H, W)."""
    amplitude = response.abs()
    total = response.sum(1, keepdim=True)
    even, odd = total.real, total.imag
    size = _root(even * even + odd * odd) + _SMALL
    even, odd = even / size, odd / size
    in_step = response.real * even + response.imag * odd
    off_step = (response.real * odd - response.imag * even).abs()
    # The weakest half of the finest responses is noise; a Rayleigh distribution makes a threshold of its median.
    rayleigh = _root(_median(amplitude[:, 0] ** 2) / math.log(2) * noise)
    threshold = rayleigh * (math.sqrt(math.pi / 2) + _NOISE * math.sqrt(2 - math.pi / 2)) / 1.7
    energy = ((in_step - off_step).sum(1) - threshold[:, None, None]).clamp(min=0)
    whole = amplitude.sum(1)
    width = whole / (amplitude.amax(1) + _SMALL) / SCALES
    return energy / (1 + (_STEEP * (_NARROW - width)).exp()), whole


def _median(x: Tensor) -> Tensor:
    flat, size = x.flatten(1), x[0].numel()
    lower = flat.kthvalue((size + 1) // 2, 1).values
    return lower if size % 2 else (lower + flat.kthvalue(size // 2 + 1, 1).values) / 2


def _root(x: Tensor) -> Tensor:
    live = x > 0
    return torch.where(live, torch.where(live, x, 1).sqrt(), 0)


@lru_cache(maxsize=4)
def _filters(height: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Log-Gabor filters: (SCALES, H, W) over radius, (ORIENTATIONS, H, W) over angle, and their noise energy."""
    # The filters outlive this call: they must not belong to somebody's inference mode.
    with torch.inference_mode(mode=False):
        y, x = (_frequencies(size).to(device, dtype) for size in (height, width))
        radius, theta = torch.hypot(y[:, None], x), torch.atan2(-y[:, None], x)
        radius[0, 0] = 1
        lengths = torch.tensor([_SHORTEST * _FACTOR**n for n in range(SCALES)], dtype=dtype, device=device)
        radial = (-((radius * lengths[:, None, None]).log() ** 2) / (2 * math.log(_BANDWIDTH) ** 2)).exp()
        radial = radial * _low_pass(height, width).to(device, dtype)
        radial[:, 0, 0] = 0
        angles = torch.arange(ORIENTATIONS, dtype=dtype, device=device) * (math.pi / ORIENTATIONS)
        turned = theta - angles[:, None, None]
        turned = torch.atan2(turned.sin(), turned.cos())
        angular = (-(turned**2) / (2 * _ANGULAR**2)).exp()
        noise = []
        for n in range(ORIENTATIONS):
            bank = radial * angular[n]
            # The real part of the filter in space is the part of its spectrum that is even.
            even = (bank + bank.flip(1, 2).roll((1, 1), (1, 2))) / 2
            noise.append((even.sum(0) ** 2).sum() / (bank[0] ** 2).sum())
        return radial, angular, torch.stack(noise)


def _frequencies(size: int) -> Tensor:
    """Cycles per voxel, up to exactly 1/2 also for odd sizes, as published."""
    return torch.fft.fftfreq(size, dtype=torch.float64) * (size / (size - 1) if size % 2 else 1)


def _low_pass(height: int, width: int) -> Tensor:
    # Shifted once too often for odd sizes, as published.
    y, x = (torch.fft.fftshift(torch.fft.fftshift(torch.fft.fftfreq(n, dtype=torch.float64))) for n in (height, width))
    return 1 / (1 + (torch.hypot(y[:, None], x) / 0.45) ** 30)
