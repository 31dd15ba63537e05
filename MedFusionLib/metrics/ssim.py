"""SSIM: luminance, contrast and structure of each source in small windows of the fused image."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice
from MedFusionLib.registry import metric


@metric(
    title="SSIM",
    family="structure",
    direction="up",
    range=(-1.0, 1.0),
    identical=1.0,
    flat="small",
    pool="mean",
    smallest=11,
    reference="Wang, Bovik, Sheikh, Simoncelli 2004, doi:10.1109/TIP.2003.819861",
    undefined="no window of the mask fits the image",
    gamed_by=("copy",),
)
def ssim(
    fused,
    sources,
    *,
    mask=None,
    spacing=None,
    variant: Annotated[str, Choice("wang", "cvpr23")] = "wang",
):
    """Mean SSIM with each source, (B, K).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where windows have their centers.
        spacing: voxel size along each axis.
        variant: wang (11 x 11 Gaussian, range 255) or cvpr23 (7 x 7 box, sample variances, range 2 on 255 levels: the
            slip that the published tables of that family share).
    """
    from MedFusionLib.metrics._domain import mean
    from MedFusionLib.metrics._windows import box_window, gaussian_window, moments

    ndim, published = fused.ndim - 2, variant == "cvpr23"
    window = box_window(ndim, 7, spacing) if published else gaussian_window(ndim, spacing)
    m = moments(fused, sources, window, mask)
    reach, sample = (2.0, 49 / 48) if published else (255.0, 1.0)
    c1, c2 = (0.01 * reach) ** 2, (0.03 * reach) ** 2
    luminance = (2 * m.fused_mean * m.source_mean + c1) / (m.fused_mean**2 + m.source_mean**2 + c1)
    variances = m.fused_variance + m.source_variance
    structure = (2 * sample * m.covariance + c2) / (sample * variances + c2)
    return mean(luminance * structure, m.mask)
