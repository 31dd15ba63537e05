"""FMI: what the gray levels of each 3 x 3 window of the fused image tell about those of a source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from MedFusionLib.params import Choice
from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor


@metric(
    title="FMI",
    family="dependence",
    direction="up",
    # From 0 to 1 but for windows in which the published model of the joint probabilities breaks down.
    range=(None, None),
    identical=1.0,
    flat=0.0,
    pool="weighted",
    dims=(2,),
    smallest=3,
    reference="Haghighat, Razian 2014 (Fast-FMI); Haghighat et al. 2011, doi:10.1016/j.compeleceng.2011.07.012",
    undefined="every window of the mask is flat in the source and in the fused image",
    gamed_by=("copy",),
)
def fmi(fused, sources, *, mask=None, flat: Annotated[str, Choice("exclude", "one")] = "exclude"):
    """Mean normalized mutual information of 3 x 3 windows with each source, and how many windows count, (B, K) both.

    The nine gray levels of a window, less the smallest, are taken for the probabilities of nine places (column by
    column). The joint probabilities lie between independence and the closest coupling that there can be (Fréchet's
    bound), as far towards it as the levels correlate.

    Args:
        fused: (B, 1, H, W) in gray levels.
        sources: (B, K, H, W) in gray levels.
        mask: (B, 1, H, W), where windows have their centers.
        flat: windows that are flat in both images do not count (exclude) or score 1 (one, as in published code).
    """
    import torch

    inside = None if mask is None else mask[:, 0, 1:-1, 1:-1]
    fused_range = _range(fused[:, 0])
    scores, numbers = [], []
    for source in sources.unbind(1):
        flats = fused_range == 0, _range(source) == 0
        blank = flats[0] & flats[1]
        counted = torch.ones_like(blank) if inside is None else inside
        counted = counted if flat == "one" else counted & ~blank
        same = counted & (blank | ~_any(fused[:, 0] != source))
        told = _told(fused[:, 0], source, counted & ~(same | flats[0] | flats[1]))
        number = counted.sum((1, 2)).to(fused.dtype)
        whole = same.sum((1, 2)).to(fused.dtype) + told
        scores.append(torch.where(number > 0, whole / number.clamp(min=1), math.nan))
        numbers.append(number)
    return torch.stack(scores, 1), torch.stack(numbers, 1)


def _range(x: Tensor) -> Tensor:
    """(B, H-2, W-2): largest less smallest level of each window; 0 is flat."""
    import torch

    high, low = x.detach(), x.detach()
    for axis in (1, 2):
        size = x.shape[axis] - 2
        high, *highs = (high.narrow(axis, n, size) for n in range(3))
        low, *lows = (low.narrow(axis, n, size) for n in range(3))
        for more, less in zip(highs, lows, strict=True):
            high, low = torch.maximum(high, more), torch.minimum(low, less)
    return high - low


def _any(x: Tensor) -> Tensor:
    for axis in (1, 2):
        before, here, after = (x.narrow(axis, n, x.shape[axis] - 2) for n in range(3))
        x = before | here | after
    return x


def _told(fused: Tensor, source: Tensor, windows: Tensor) -> Tensor:
    """(B,) sums over some of the windows; these alone are computed, a few thousand at a time."""
    import torch
    from torch.utils.checkpoint import checkpoint

    batch, row, column = windows.nonzero(as_tuple=True)
    height, width = fused.shape[1:]
    corner = (batch * height + row) * width + column
    places = torch.tensor([[y * width + x] for x in range(3) for y in range(3)], device=fused.device)
    # 81 joint probabilities each: those of 512 windows stay in a processor's cache.
    some = 512 if fused.device.type == "cpu" else 1 << 17
    total, levels = fused.new_zeros(fused.shape[0]), (fused.flatten(), source.flatten())
    for item, first in zip(batch.split(some), corner.split(some), strict=True):
        pair = [x[first + places] for x in levels]
        # Gradients take the tables a second time rather than keep them all.
        learn = any(x.requires_grad for x in pair)
        score = checkpoint(_shared, *pair, use_reentrant=False, preserve_rng_state=False) if learn else _shared(*pair)
        total = total.index_add(0, item, score)
    return total


def _shared(first: Tensor, second: Tensor) -> Tensor:
    """(N,) normalized mutual information of windows (9, N) that are not flat."""
    import torch

    f, s = (x - x.amin(0) for x in (first, second))
    f, s = f / f.sum(0), s / s.sum(0)
    c_f, c_s = f - 1 / 9, s - 1 / 9
    correlation = (c_f * c_s).sum(0) / ((c_f * c_f).sum(0) * (c_s * c_s).sum(0)).sqrt()
    # The lower bound is the upper one with the places of the other counted backwards.
    s = torch.where(correlation < 0, s.flip(0), s)
    f_below, s_below = (torch.nn.functional.pad(x.cumsum(0), (0, 0, 1, 0)) for x in (f, s))
    upper = torch.minimum(f_below[:, None], s_below)
    covariance = upper.sum((0, 1)) - f_below.sum(0) * s_below.sum(0)
    # A single bright voxel is at one place for certain: nothing can be coupled to it.
    spread = _variance(f) * _variance(s)
    free = (spread > 0) & (covariance > 0)
    closest = torch.where(free, covariance, 1) / torch.where(free, spread, 1).sqrt()
    share = torch.where(free, correlation.abs() / closest, 0)
    alone = _entropy(f) + _entropy(s)
    joint = torch.lerp(f[:, None] * s, upper.diff(dim=0).diff(dim=1), share)
    mutual = alone - _entropy(joint.flatten(0, 1))
    return torch.where(alone > 0, 2 * mutual / torch.where(alone > 0, alone, 1), 0)


def _variance(p: Tensor) -> Tensor:
    import torch

    place = torch.arange(1, 10, dtype=p.dtype, device=p.device)
    return (place * place) @ p - (place @ p) ** 2


def _entropy(p: Tensor) -> Tensor:
    """The share may exceed 1 and make joint probabilities negative: the published code goes by their size then."""
    import torch

    return -(p * p.abs().clamp(min=torch.finfo(p.dtype).tiny).log()).sum(0)
