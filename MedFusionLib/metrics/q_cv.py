"""Q_CV: visible difference to each source, block by block, where that source has strong edges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from MedFusionLib.params import Choice
from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 16
_ALPHA = 5
_SCALE = {"code": 0.144, "mannos": 0.114}


@metric(
    title="Q_CV",
    family="perception",
    direction="down",
    range=(0.0, None),
    identical=0.0,
    flat="large",
    unit="gray levels squared",
    pool="weighted",
    dims=(2,),
    reference="Chen, Varshney 2007, doi:10.1016/j.inffus.2005.10.001",
    undefined="no source has an edge (the frame of the image is one)",
    gamed_by=("noise", "copy"),
)
def q_cv(fused, sources, *, mask=None, csf: Annotated[str, Choice("code", "mannos")] = "code"):
    """Mean squared visible difference to each source, and its weight, (B, K) both.

    The paper's blocks of 16 x 16 begin at the first voxel; one that is cut by the frame or by the mask counts as if
    there were no difference beyond. The image is taken to be seen under 4 degrees along each axis.

    Args:
        fused: (B, 1, H, W) in gray levels.
        sources: (B, K, H, W) in gray levels.
        mask: (B, 1, H, W), where edges and differences count.
        csf: contrast sensitivity with the constant 0.144 (code: as all public code, and the published values) or 0.114
            (mannos: as Mannos and Sakrison measured).
    """
    from MedFusionLib.metrics._domain import divided
    from MedFusionLib.metrics._gradients import magnitude, sobel

    edges = magnitude(sobel(sources, border="zeros")) ** _ALPHA
    difference = _seen(sources - fused, _SCALE[csf]) ** 2
    if mask is not None:
        edges, difference = edges * mask, difference * mask
    saliency = _block_sums(edges)
    weight = saliency.sum((2, 3))
    return divided((saliency * _block_sums(difference)).sum((2, 3)) / _BLOCK**2, weight, math.nan), weight


def _seen(x: Tensor, scale: float) -> Tensor:
    """The image as the contrast sensitivity of the eye lets it pass."""
    from MedFusionLib.metrics._csf import cycles, passed

    scaled = scale * cycles(x, degrees=4)
    return passed(x, 2.6 * (0.0192 + scaled) * (-(scaled**1.1)).exp())


def _block_sums(x: Tensor) -> Tensor:
    import torch

    height, width = x.shape[2:]
    x = torch.nn.functional.pad(x, (0, -width % _BLOCK, 0, -height % _BLOCK))
    return x.unflatten(3, (-1, _BLOCK)).unflatten(2, (-1, _BLOCK)).sum((3, 5))
