"""CNR: how far a lesion or organ stands out from its surroundings in the fused image, over their spread."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="CNR",
    family="task",
    direction="up",
    range=(0.0, None),
    identical="CNR of the image",
    flat=0.0,
    reference="Edelstein, Bottomley, Hart, Smith 1983, J. Comput. Assist. Tomogr. 7 (3)",
    undefined="the surroundings have one gray level, the label another",
    gamed_by=("blur", "copy"),
)
def cnr(fused, sources, *, mask=None, spacing=None, label):
    """Contrast-to-noise ratio, (B,): difference of the means over the standard deviation of the surroundings.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels; not looked at.
        mask: (B, 1, *S), where surroundings are looked for.
        spacing: voxel size along each axis in mm; 1 mm without it.
        label: (B, 1, *S) bool; its surroundings are 2 to 10 mm away.
    """
    import torch

    from MedFusionLib.metrics._task import contrast, regions

    found = regions(fused, sources[:, :0], label, mask, spacing)
    return torch.cat([contrast(inside, around) for inside, around in found])
