"""Sparse representation: of each sliding patch the source with the most active sparse code over a dictionary."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


@method(
    title="Sparse representation (SR)",
    family="sparse",
    dims=(2,),
    sources=(2, None),
    reference="Yang, Li 2010, doi 10.1109/TIM.2009.2026612",
    workspace=16.0,
    keeps_lone=True,
)
def sparse(
    sources,
    *,
    dictionary: Annotated[str, Choice("learned", "dct")] = "learned",
    stride: Annotated[int, Range(1, 8, unit="voxel")] = 1,
    atoms: Annotated[int, Range(1, 64, unit="atoms")] = 16,
    tolerance: Annotated[float, Range(0, 100, unit="gray levels")] = 0.1,
    low: Annotated[str, Choice("winner", "mean", "maximum", "energy")] = "energy",
    residual: Annotated[str, Choice("kept", "dropped")] = "kept",
    progress=None,
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    Patches of 8 x 8 without their mean are coded by orthogonal matching pursuit; the code with the largest L1 norm
    wins. Ours are what becomes of the means by default, the limit of atoms, and what becomes of the residual: the paper
    goes on until the tolerance is met, which leaves nothing.

    Args:
        sources: harmonized images.
        dictionary: of atoms learned by K-SVD from brain images, or an overcomplete cosine transform.
        stride: from patch to patch; the result is smoother, and slower to have, the smaller it is.
        atoms: that a code may have.
        tolerance: norm of a patch's residual, of 255 gray levels, at which its code is done.
        low: what becomes of the patches' means: the winner's (as in the paper; bone or uptake without texture is lost
            beside a textured source), the mean, the maximum, or weighted by energy.
        residual: what a code leaves of its patch: kept, or dropped, which takes noise away and fine texture with it.
        progress: told the share of the work that is done.
    """
    from MedFusionLib.transforms import sparse_coding

    words = sparse_coding.dictionary(dictionary).to(sources)
    return sparse_coding.fuse_by_code(
        sources, words, stride, atoms, tolerance / 255, low=low, keep=residual == "kept", progress=progress
    )
