"""AG: average gradient of the fused image; sharpness, and noise as much."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="AG",
    family="statistics",
    direction="up",
    range=(0.0, None),
    identical="the image's own",
    flat=0.0,
    unit="gray levels",
    smallest=2,
    reference="Cui, Feng, Xu, Li, Chen 2015, doi:10.1016/j.optcom.2014.12.032",
    gamed_by=("noise", "contrast"),
)
def ag(fused, sources, *, mask=None, spacing=None):
    """Mean over voxels of the root mean square of the axes' derivatives, (B,).

    Derivatives are central, at the frame one-sided; the mean is over all voxels (some code divides by fewer).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: not looked at.
        mask: (B, 1, *S), the voxels that count.
        spacing: voxel size along each axis; derivatives are by the finest, and coarser axes count less.
    """
    import torch

    from MedFusionLib.metrics._domain import axes_of, mean
    from MedFusionLib.metrics._gradients import magnitude

    axes = axes_of(fused)
    steps = [step / min(spacing) for step in spacing] if spacing else [1.0] * len(axes)
    # As many axes as there are in effect: 2 in slices far apart, 3 in a volume of cubes.
    number = sum(1 / step**2 for step in steps)
    return mean(magnitude(torch.gradient(fused, spacing=steps, dim=axes)), mask)[:, 0] / number**0.5
