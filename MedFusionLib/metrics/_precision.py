"""Double precision for metrics in which rounding on black would decide."""

from __future__ import annotations

from torch import Tensor


def widened(*images: Tensor) -> list[Tensor]:
    """The images in float64, where their device has it."""
    return [x if x.device.type == "mps" else x.double() for x in images]
