"""CE: how far the fused image's histogram is from each source's; says nothing of where the gray levels are."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="CE",
    family="statistics",
    direction="down",
    range=(None, None),
    identical=0.0,
    flat="about 0",
    unit="bits",
    pool="mean",
    reference="Bulanon, Burks, Alchanatis 2009, doi:10.1016/j.biosystemseng.2009.02.009",
    gamed_by=("contrast", "copy"),
    differentiable=False,
)
def ce(fused, sources, *, mask=None):
    """Relative entropy of each source's gray levels to the fused ones, (B, K).

    Levels that only one of the two has are left out, as in all tables; that can make it negative.

    Args:
        fused: (B, 1, *S) in gray levels; rounded to whole ones.
        sources: (B, K, *S) in gray levels; rounded likewise.
        mask: (B, 1, *S), the voxels that are counted.
    """
    import torch

    from MedFusionLib.metrics._histograms import histogram

    f, s = histogram(fused, mask), histogram(sources, mask)
    both = (f > 0) & (s > 0)
    return torch.where(both, s * (torch.where(both, s, 1) / torch.where(both, f, 1)).log2(), 0).sum(-1)
