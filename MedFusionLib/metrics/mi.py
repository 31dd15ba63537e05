"""MI: how much the fused image's gray level tells of each source's, in all; a copy of one source scores high."""

from __future__ import annotations

import math
from typing import Annotated

from MedFusionLib.params import Choice
from MedFusionLib.registry import metric


@metric(
    title="MI",
    family="dependence",
    direction="up",
    range=(0.0, None),
    identical="as many times the image's entropy as there are sources",
    flat=0.0,
    unit="bits",
    pool="sum",
    reference="Qu, Zhang, Yan 2002, doi:10.1049/el:20020212",
    gamed_by=("blur", "copy"),
    differentiable=False,
)
def mi(fused, sources, *, mask=None, base: Annotated[str, Choice("bits", "nats")] = "bits"):
    """Mutual information with each source, (B, K).

    Args:
        fused: (B, 1, *S) in gray levels; rounded to whole ones.
        sources: (B, K, *S) in gray levels; rounded likewise.
        mask: (B, 1, *S), the voxels that are counted, in 64 bins if they are few.
        base: unit of the value, bits or nats (as in the published tables of the CVPR 2023 family).
    """
    from MedFusionLib.metrics._histograms import joint_histogram, mutual_information

    bits = mutual_information(joint_histogram(fused, sources, mask))
    return bits * math.log(2) if base == "nats" else bits
