"""EN: entropy of the fused image's histogram; noise raises it as structure does."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="EN",
    family="statistics",
    direction="up",
    range=(0.0, 8.0),
    identical="the image's own entropy",
    flat=0.0,
    unit="bits",
    reference="Roberts, van Aardt, Ahmed 2008, doi:10.1117/1.2945910",
    gamed_by=("noise", "contrast", "blur"),
    differentiable=False,
)
def en(fused, sources, *, mask=None):
    """Shannon entropy of 256 gray levels, (B,).

    Args:
        fused: (B, 1, *S) in gray levels; rounded to whole ones.
        sources: not looked at.
        mask: (B, 1, *S), the voxels that are counted.
    """
    from MedFusionLib.metrics._histograms import entropy, histogram

    return entropy(histogram(fused, mask))[:, 0]
