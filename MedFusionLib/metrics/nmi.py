"""NMI: mutual information with each source as a share of both entropies, so that a busy source does not outweigh."""

from __future__ import annotations

import math

from MedFusionLib.registry import metric


@metric(
    title="NMI",
    family="dependence",
    direction="up",
    range=(0.0, 2.0),
    identical=2.0,
    flat=0.0,
    pool="mean",
    reference="Hossny, Nahavandi, Creighton 2008, doi:10.1049/el:20081754",
    undefined="the fused image and all sources are constant",
    gamed_by=("contrast", "copy"),
    differentiable=False,
)
def nmi(fused, sources, *, mask=None):
    """Normalized mutual information with each source, (B, K), each on the scale 0 to 2 of the published sum of two.

    Args:
        fused: (B, 1, *S) in gray levels; rounded to whole ones.
        sources: (B, K, *S) in gray levels; rounded likewise.
        mask: (B, 1, *S), the voxels that are counted, in 64 bins if they are few.
    """
    from MedFusionLib.metrics._domain import divided
    from MedFusionLib.metrics._histograms import entropy, joint_histogram, mutual_information

    joint = joint_histogram(fused, sources, mask)
    entropies = entropy(joint.sum(-1)) + entropy(joint.sum(-2))
    return divided(4 * mutual_information(joint), entropies, math.nan)
