"""The intensity window of each volume: fixed per volume, never per slice, and kept for the way back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from MedFusionLib.errors import DataError
from MedFusionLib.volume import LEVELS, Volume, Window

CT_WINDOW = Window(-450.0, 1050.0, "HU")
"""Center 300, width 1500 HU: air black, soft tissue gray, bone bright."""

_PERCENTILES = (0.5, 99.5)

_BACKGROUND = 0.1
"""Share of the 99.9th percentile below which voxels count as background: air's noise lies there, organs do not."""


def window_of(volume: Volume, chosen: Sequence[float] | None = None) -> Window:
    """The window that maps a volume to [0, 1].

    CT in HU takes `CT_WINDOW`; pictures (unit LEVELS) and all color are divided by 255; PET and SPECT
    go from zero uptake to the 99.5th percentile of the voxels above background; everything else from the 0.5th
    percentile of all voxels to that same one. Background lies below a tenth of the 99.9th percentile.

    Args:
        volume: a scalar volume.
        chosen: (low, high) of the user's, in the volume's unit; goes before everything else.

    Raises:
        DataError: if the volume is constant, or the chosen window is not two numbers in order.
    """
    if chosen is not None:
        return Window(*_two(volume, chosen), volume.unit)
    if volume.modality == "CT" and volume.unit == "HU":
        return CT_WINDOW
    if volume.unit == LEVELS:
        return Window(0.0, 255.0, LEVELS)
    values = volume.array[np.isfinite(volume.array)]
    low = 0.0 if volume.is_functional else float(np.percentile(values, _PERCENTILES[0]))
    shown = values[values > low + _BACKGROUND * (np.percentile(values, 99.9) - low)]
    high = float(np.percentile(shown, _PERCENTILES[1])) if shown.size else low
    if not low < high:
        raise DataError(
            f"Intensity window of {volume.label}",
            found=f"values from {values.min():g} to {values.max():g} {volume.unit}, nothing above {low:g}",
            accepted="an image with more than one value",
            fix="Choose its window by hand if it is meant to be so (--window LOW,HIGH)",
        )
    return Window(low, high, volume.unit)


def _two(volume: Volume, chosen: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in chosen)
    except (TypeError, ValueError):
        raise DataError(
            f"Intensity window of {volume.label}", found=chosen, accepted="two numbers, low and high"
        ) from None
    return low, high
