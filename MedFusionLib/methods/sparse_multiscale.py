"""Laplacian pyramid with sparse codes: details by choose-max, the low-pass image by the most active sparse code."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice, Range
from MedFusionLib.registry import method


@method(
    title="Multi-scale sparse representation (LP-SR)",
    family="sparse",
    dims=(2,),
    sources=(2, None),
    reference="Liu, Liu, Wang 2015, Information Fusion 24:147-164",
    workspace=9.5,
    keeps_lone=True,
)
def sparse_multiscale(
    sources,
    *,
    levels: Annotated[int, Range(1, 8, unit="levels")] = 2,
    dictionary: Annotated[str, Choice("learned", "dct")] = "learned",
    stride: Annotated[int, Range(1, 8, unit="voxel")] = 1,
    atoms: Annotated[int, Range(1, 64, unit="atoms")] = 16,
    tolerance: Annotated[float, Range(0, 100, unit="gray levels")] = 0.1,
    low: Annotated[str, Choice("winner", "mean", "maximum", "energy")] = "energy",
):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    Ours are what becomes of the means by default, and that what a code leaves of its patch is kept.

    Args:
        sources: harmonized images.
        levels: how often the image is halved before the remaining low-pass image is coded. The paper has 4; a patch
            then spans half an image of 256 x 256, and its choice lifts the black background by up to 14 gray levels.
        dictionary: of atoms learned by K-SVD from brain images, or an overcomplete cosine transform.
        stride: from patch to patch of the low-pass image.
        atoms: that a code may have.
        tolerance: norm of a patch's residual, of 255 gray levels, at which its code is done.
        low: what becomes of the means of the low-pass image's patches: the winner's (as in the paper), the mean, the
            maximum, or weighted by energy.
    """
    from MedFusionLib.transforms import sparse_coding
    from MedFusionLib.transforms.pyramid import details, synthesize
    from MedFusionLib.transforms.rules import most_salient
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    fused, rest = [], sources
    for detail, below in details(sources, levels, axes):
        fused.append(most_salient(detail, axes))
        rest = below
    words = sparse_coding.dictionary(dictionary).to(sources)
    base = sparse_coding.fuse_by_code(rest, words, stride, atoms, tolerance / 255, low=low)
    return synthesize(fused, base, axes)
