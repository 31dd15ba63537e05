"""Losses of fusion networks, all differentiable, of a fused batch (B, 1, H, W) and its sources (B, K, H, W) in [0, 1].

Each gives a value for every pair (B, K) or image (B,), so that weights an image can be applied; `.mean()` is the loss.
They reckon in single precision, whatever a network gives: differences of squares have no digits left in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from MedFusionLib.errors import ParameterError
from MedFusionLib.metrics._windows import gaussian_window, windowed
from MedFusionLib.registry import find_metric

_C1, _C2 = 0.01**2, 0.03**2
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM from fine to coarse (Wang et al. 2003, doi 10.1109/ACSSC.2003.1292216)."""

_SURROUND = ((0.125, 0.125, 0.125), (0.125, -1.0, 0.125), (0.125, 0.125, 0.125))
"""The mean of the neighbors less the pixel: the gradient of FusionDN and U2Fusion."""


def squared(fused: Tensor, sources: Tensor) -> Tensor:
    """(B, K) mean squared difference."""
    return (fused.float() - sources).square().mean((2, 3))


def absolute(fused: Tensor, target: Tensor) -> Tensor:
    """(B, C) mean absolute difference."""
    return (fused.float() - target).abs().mean((2, 3))


def ssim_map(fused: Tensor, sources: Tensor) -> Tensor:
    """(B, K, H - 10, W - 10) SSIM of every 11 x 11 Gaussian window (Wang et al. 2004, doi 10.1109/TIP.2003.819861)."""
    luminance, structure = _similarities(fused, sources)
    return luminance * structure


def ssim(fused: Tensor, sources: Tensor) -> Tensor:
    """(B, K) mean of `ssim_map`."""
    return ssim_map(fused, sources).mean((2, 3))


def measured(metric: str, fused: Tensor, sources: Tensor) -> Tensor:
    """(B,) a metric of the registry as a loss: less is better; 0 where the metric is undefined.

    Args:
        metric: a name of `list_metrics()` that is differentiable and better the higher.
        fused: the result, in [0, 1].
        sources: what it was made of.

    Raises:
        UnknownNameError: if there is no such metric.
        ParameterError: if it is no loss.
    """
    entry = find_metric(metric)
    if not entry.differentiable or entry.direction != "up" or "label" in entry.needs:
        raise ParameterError(
            "Metric as a loss",
            found=f"{metric}, {entry.direction}{', needs a label' if 'label' in entry.needs else ''}",
            accepted="a differentiable one, direction up, of images alone",
        )
    values = entry(fused.float(), sources)
    return torch.where(values.isfinite(), -values, 0)


def ms_ssim(fused: Tensor, sources: Tensor, scales: int = 3) -> Tensor:
    """(B, K) SSIM over several scales, each half as fine as the one before; 3 suit patches of 64 pixels."""
    weights = torch.tensor(_SCALES[:scales]) / sum(_SCALES[:scales])
    result = torch.ones(sources.shape[:2], dtype=fused.dtype, device=fused.device)
    for number, weight in enumerate(weights.tolist()):
        luminance, structure = _similarities(fused, sources)
        last = number == scales - 1
        # A power of a negative number has no gradient: structures that contradict each other count as none.
        result = result * ((luminance * structure) if last else structure).mean((2, 3)).clamp(min=1e-4) ** weight
        if not last:
            fused, sources = functional.avg_pool2d(fused, 2), functional.avg_pool2d(sources, 2)
    return result


def _similarities(fused: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM's luminance and its structure with contrast, (B, K, H', W') each."""
    window, fused, sources = gaussian_window(2), fused.float(), sources.float()
    mean, means = windowed(fused, window), windowed(sources, window)
    variance = windowed(fused * fused, window) - mean * mean
    variances = windowed(sources * sources, window) - means * means
    covariance = windowed(fused * sources, window) - mean * means
    luminance = (2 * mean * means + _C1) / (mean * mean + means * means + _C1)
    return luminance, (2 * covariance + _C2) / (variance + variances + _C2)


def surround(images: Tensor) -> Tensor:
    """(B, C, H, W) mean of the eight neighbors less the pixel; borders repeat."""
    padded, (height, width) = functional.pad(images.float(), (1, 1, 1, 1), mode="replicate"), images.shape[2:]
    total = torch.zeros_like(images, dtype=torch.float32)
    for row in range(3):
        for column in range(3):
            # Added, not convolved, which a GPU would do in bfloat16 again.
            total = total + _SURROUND[row][column] * padded[..., row : row + height, column : column + width]
    return total


def slopes(images: Tensor) -> Tensor:
    """(B, C, 2, H, W) forward differences along the rows and the columns, zero at the far border."""
    images = images.float()
    down = functional.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    right = functional.pad(images[..., 1:] - images[..., :-1], (0, 1))
    return torch.stack([down, right], 2)


def gradient(fused: Tensor, sources: Tensor) -> Tensor:
    """(B,) mean absolute difference from the steepest slope of any source, each direction for itself."""
    wanted, found = slopes(sources), slopes(fused)
    steepest = wanted.gather(1, wanted.abs().argmax(1, keepdim=True))
    return (found - steepest).abs().mean((1, 2, 3, 4))


def brightest(fused: Tensor, sources: Tensor) -> Tensor:
    """(B,) mean absolute difference from the brightest source."""
    return absolute(fused, sources.amax(1, keepdim=True)).mean(1)


def total_variation(fused: Tensor) -> Tensor:
    """(B,) mean absolute slope."""
    return slopes(fused).abs().mean((1, 2, 3, 4))


def perceptual(features: Callable[[Tensor], Sequence[Tensor]], fused: Tensor, sources: Tensor) -> Tensor:
    """(B, K) mean squared difference of a frozen network's features, over its stages.

    Args:
        features: (N, 1, H, W) -> feature maps from fine to coarse.
        fused: the result.
        sources: the images it is compared with.
    """
    count, number = sources.shape[:2]
    of_fused = features(fused)
    with torch.no_grad():
        of_sources = features(sources.flatten(0, 1)[:, None])
    stages = []
    for ours, theirs in zip(of_fused, of_sources, strict=True):
        stages.append((ours[:, None] - theirs.unflatten(0, (count, number))).square().mean((2, 3, 4)))
    return torch.stack(stages).mean(0)


def adversarial(verdicts: Tensor, is_real: bool) -> Tensor:
    """(B,) least-squares loss of a discriminator's verdicts (Mao et al. 2017, doi 10.1109/ICCV.2017.304)."""
    return (verdicts - float(is_real)).square().flatten(1).mean(1)
