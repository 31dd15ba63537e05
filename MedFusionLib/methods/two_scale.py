"""Two-scale fusion: mean of the blurred bases, the strongest detail at each voxel."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Range
from MedFusionLib.registry import method


def _reach(sigma: float) -> int:
    from MedFusionLib.transforms.window import gaussian_radius

    return gaussian_radius(sigma)


@method(
    title="Two-scale",
    family="transform",
    dims=(2, 3),
    sources=(2, None),
    reference="project baseline",
    reach=_reach,
    workspace=6.0,
)
def two_scale(sources, *, sigma: Annotated[float, Range(0.5, 20, unit="voxel")] = 4.0):
    """Fuse (B, K, *S) in [0, 1] into (B, 1, *S).

    Args:
        sources: harmonized images.
        sigma: width of the Gaussian that parts base from detail.
    """
    from MedFusionLib.transforms.rules import strongest
    from MedFusionLib.transforms.window import gaussian, spatial_axes

    base = gaussian(sources, sigma, spatial_axes(sources))
    return base.mean(1, keepdim=True) + strongest(sources - base)
