"""Principal component weights: each source counts as much as it varies with the common signal."""

from __future__ import annotations

from MedFusionLib.registry import method


@method(
    title="PCA weights",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="Naidu, Raol 2008, Defence Science Journal 58(3):338-352",
    workspace=4.5,
    keeps_lone=True,
)
def pca(sources, *, moments=None):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    The weights are the entries of the covariance's first eigenvector, made positive and summing to 1. In a pipeline
    run they are one set for the whole volume, so that neighboring slices do not flicker.

    Args:
        sources: harmonized images.
        moments: (K, K) covariance over the volume's foreground; of each image by itself if None.
    """
    import torch

    if moments is None:
        covariance = torch.stack([torch.cov(image, correction=0) for image in sources.flatten(2).double()])
    else:
        covariance = moments[None]
    # Where nothing varies all sources are alike; the identity gives the first eigenvector no direction of its own.
    component = torch.linalg.eigh(covariance)[1][..., -1].abs()
    constant = covariance.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) <= 0
    component = torch.where(constant, torch.ones_like(component), component)
    weights = (component / component.sum(-1, keepdim=True)).to(sources)
    return (sources * weights.reshape(*weights.shape, *[1] * (sources.ndim - 2))).sum(1, keepdim=True)
