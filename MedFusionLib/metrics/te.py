"""Q_TE: mutual information by Tsallis' entropy; better not used: badly founded, and most tables have other values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from MedFusionLib.registry import metric

if TYPE_CHECKING:
    from torch import Tensor

_Q = 0.43137


@metric(
    title="Q_TE",
    family="dependence",
    direction="up",
    range=(0.0, None),
    identical="about 0.5, by the image",
    flat=0.0,
    reference="Cvejic, Canagarajah, Bull 2006, Electron. Lett. 42:626; Nava, Cristóbal, Escalante-Ramírez 2007",
    undefined="all sources are constant",
    gamed_by=("blur", "copy"),
    differentiable=False,
)
def te(fused, sources, *, mask=None):
    """Tsallis mutual information of fused image and sources over what the sources hold, (B,).

    The normalization is that of the toolbox from which the tables come (Shannon's entropy to the power q, the sources'
    mutual information added), with its marginal histograms put right: its own have rows and columns exchanged, so its
    values differ.

    Args:
        fused: (B, 1, *S) in gray levels; rounded to whole ones.
        sources: (B, K, *S) in gray levels; rounded likewise.
        mask: (B, 1, *S), the voxels that are counted, in 64 bins if they are few.
    """
    from MedFusionLib.metrics._domain import divided
    from MedFusionLib.metrics._histograms import entropy, joint_histogram

    joint = joint_histogram(fused, sources, mask)
    held = (entropy(joint.sum(-2)) ** _Q).sum(1)
    for n in range(sources.shape[1] - 1):
        held = held + _tsallis(joint_histogram(sources[:, n : n + 1], sources[:, n + 1 :], mask)).sum(1)
    return divided(_tsallis(joint).sum(1), held, math.nan)


def _tsallis(joint: Tensor) -> Tensor:
    from MedFusionLib.metrics._histograms import independent

    return (1 - (joint**_Q * independent(joint) ** (1 - _Q)).sum((-2, -1))).clamp(min=0) / (1 - _Q)
