"""MS-SSIM: contrast and structure of each source at up to five scales of the fused image, luminance at the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

    from MedFusionLib.metrics._windows import Spacing

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@metric(
    title="MS-SSIM",
    family="structure",
    direction="up",
    range=(0.0, 1.0),
    identical=1.0,
    flat="small",
    pool="mean",
    smallest=11,
    reference="Wang, Simoncelli, Bovik 2003, doi:10.1109/ACSSC.2003.1292216",
    undefined="at some scale no window of the mask fits the image",
)
def ms_ssim(fused, sources, *, mask=None, spacing=None):
    """MS-SSIM with each source, (B, K).

    There are as many scales as hold a window: five from 176 voxels on; the weights of fewer are raised to sum 1.
    From scale to scale pairs of voxels are averaged (an odd last one is dropped), along a coarse axis only once
    the others have come within a factor of two of it, and twice at most.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers; at coarser scales, voxels that hold any of it.
        spacing: voxel size along each axis.
    """
    import torch

    scales = _scales(fused.shape[2:], list(spacing or [1.0] * (fused.ndim - 2)))
    # All five weights are taken as published, though they sum to 1.0001.
    together = 1.0 if len(scales) == len(_WEIGHTS) else sum(_WEIGHTS[: len(scales)])
    similarity = torch.ones_like(sources.flatten(2)[..., 0])
    for number, ((axes, steps), weight) in enumerate(zip(scales, _WEIGHTS, strict=False), 1):
        if any(axes):
            fused, sources = _halved(fused, axes), _halved(sources, axes)
            mask = None if mask is None else _halved(mask.to(fused.dtype), axes) > 0
        last = number == len(scales)
        value = torch.cat([_similarity(fused, source, steps, mask, last) for source in sources.split(1, 1)], 1)
        # A negative mean has no power: 0. (NaN, of a mask without windows, stays.)
        lost = value <= 0
        similarity = similarity * torch.where(lost, 0, torch.where(lost, 1, value) ** (weight / together))
    return similarity


def _similarity(fused: Tensor, source: Tensor, steps: Spacing, mask: Tensor | None, luminance: bool) -> Tensor:
    from MedFusionLib.metrics._domain import mean
    from MedFusionLib.metrics._windows import gaussian_window, moments

    m = moments(fused, source, gaussian_window(fused.ndim - 2, steps), mask)
    value = (2 * m.covariance + _C2) / (m.fused_variance + m.source_variance + _C2)
    if luminance:
        value = value * (2 * m.fused_mean * m.source_mean + _C1) / (m.fused_mean**2 + m.source_mean**2 + _C1)
    return mean(value, m.mask)


def _scales(shape: tuple[int, ...], steps: list[float]) -> list[tuple[list[bool], list[float]]]:
    """Which axes are halved before each scale, and the spacing after it; no more scales than hold a window."""
    from MedFusionLib.metrics._windows import gaussian_window

    ndim = len(steps)
    thick, halvings = [step > 2 * min(steps) for step in steps], [0] * ndim
    scales = [([False] * ndim, steps)]
    while len(scales) < len(_WEIGHTS):
        fine = min(steps)
        axes = [steps[n] <= 2 * fine and not (thick[n] and halvings[n] == 2) for n in range(ndim)]
        shape = tuple(size // (1 + halve) for size, halve in zip(shape, axes, strict=True))
        steps = [step * (1 + halve) for step, halve in zip(steps, axes, strict=True)]
        halvings = [times + halve for times, halve in zip(halvings, axes, strict=True)]
        window = gaussian_window(ndim, steps)
        if any(size < len(taps) for size, taps in zip(shape, window, strict=True)):
            break
        scales.append((axes, steps))
    return scales


def _halved(x: Tensor, axes: list[bool]) -> Tensor:
    from torch.nn.functional import avg_pool2d, avg_pool3d

    pool = avg_pool2d if x.ndim == 4 else avg_pool3d
    return pool(x, [2 if halve else 1 for halve in axes])
