"""What the eye lets pass of an image: filters over cycles per degree of view."""

from __future__ import annotations

import torch
from torch import Tensor


def cycles(x: Tensor, degrees: float) -> Tensor:
    """Cycles per degree of each coefficient of `rfft2(x)`, if each axis is seen under so many degrees."""
    height, width = x.shape[2:]
    rows = torch.fft.fftfreq(height, degrees / height, dtype=x.dtype, device=x.device)
    columns = torch.fft.rfftfreq(width, degrees / width, dtype=x.dtype, device=x.device)
    return torch.hypot(rows[:, None], columns)


def passed(x: Tensor, gain: Tensor) -> Tensor:
    """(B, C, H, W) with the gain at each frequency; the image goes on periodically."""
    return torch.fft.irfft2(torch.fft.rfft2(x) * gain, s=x.shape[2:])
