"""How well a lesion or organ stands out from its surroundings: gray levels of both, and two ways to compare them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from MedFusionLib.errors import DataError
from MedFusionLib.metrics._domain import FLAT

NEAR, FAR = 2.0, 10.0
"""Surroundings begin and end so far from the label, in mm: partial volumes are left out, other anatomy too."""


def regions(
    fused: Tensor, sources: Tensor, label: Tensor, mask: Tensor | None, spacing: Sequence[float] | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Gray levels (1+K, n) of the label and of its surroundings, fused image first, for each of a batch.

    Raises:
        DataError: on a label of another shape or type, without a voxel, or without surroundings.
    """
    if label.dtype != torch.bool or label.shape != fused.shape:
        found = f"{tuple(label.shape)} of {label.dtype}"
        raise DataError("Label to score", found=found, accepted=f"bool {tuple(fused.shape)}, as the fused image")
    for n, images in enumerate(zip(fused, sources, strict=True)):
        inside, around = _places(label[n, 0], None if mask is None else mask[n, 0], spacing)
        yield (
            torch.cat([x.flatten(1)[:, inside] for x in images]),
            torch.cat([x.flatten(1)[:, around] for x in images]),
        )


def contrast(inside: Tensor, around: Tensor) -> Tensor:
    """(C,) contrast-to-noise ratios; 0 where there is no contrast, NaN where there is no noise but contrast."""
    apart = (inside.mean(1) - around.mean(1)).abs()
    variance = around.var(1, correction=0)
    noisy = variance > FLAT
    ratio = apart / torch.where(noisy, variance, 1).sqrt()
    return torch.where(noisy, ratio, torch.where(apart > math.sqrt(FLAT), math.nan, 0))


def separation(inside: Tensor, around: Tensor) -> Tensor:
    """(C,) areas under the ROC curve, whichever is brighter: shares of pairs in order, ties counted half."""
    ordered = around.sort(1).values
    inside = inside.contiguous()
    below, upto = (torch.searchsorted(ordered, inside, side=side) for side in ("left", "right"))
    area = (below + upto).sum(1).to(inside.dtype) / (2 * inside.shape[1] * around.shape[1])
    return torch.maximum(area, 1 - area)


def retained(values: Tensor) -> Tensor:
    """Value in the fused image (first) over the best in a source; NaN where no source shows the label."""
    best = values[1:].amax()
    return torch.where(best > 0, values[0] / torch.where(best > 0, best, 1), math.nan)


def _places(label: Tensor, mask: Tensor | None, spacing: Sequence[float] | None) -> tuple[Tensor, Tensor]:
    """Flat indices of the label and of its surroundings inside the mask."""
    from scipy.ndimage import distance_transform_edt

    inside = label.flatten().nonzero().flatten()
    if not inside.numel():
        raise DataError("Label to score", found="no voxel", accepted="at least one")
    steps = spacing or [1.0] * label.ndim
    # Distances are for the processor; they are few, for surroundings reach no further than this box.
    box = tuple(
        slice(max(0, int(where.min()) - math.ceil(FAR / step)), int(where.max()) + math.ceil(FAR / step) + 1)
        for where, step in zip(label.nonzero().unbind(1), steps, strict=True)
    )
    distance = distance_transform_edt(~label[box].cpu().numpy(), sampling=steps)
    ring = torch.zeros_like(label)
    ring[box] = torch.from_numpy(np.logical_and(distance >= NEAR, distance <= FAR)).to(label.device)
    around = (ring if mask is None else ring & mask).flatten().nonzero().flatten()
    if not around.numel():
        raise DataError(
            "Surroundings of the label",
            found="no voxel",
            accepted=f"one inside the mask, {NEAR:g} to {FAR:g} mm from the label",
            fix="Score the whole image, or a smaller label",
        )
    return inside, around
