"""CNR kept: how far a lesion or organ stands out in the fused image, relative to the source that shows it best."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="CNR kept",
    family="task",
    direction="up",
    range=(0.0, None),
    identical=1.0,
    flat=0.0,
    reference="Edelstein, Bottomley, Hart, Smith 1983, J. Comput. Assist. Tomogr. 7 (3)",
    undefined="no source shows the label, or surroundings have one gray level and the label another",
    gamed_by=("blur", "copy"),
)
def cnr_retention(fused, sources, *, mask=None, spacing=None, label):
    """Contrast-to-noise ratio in the fused image over the largest in a source, (B,); above 1 it stands out more.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where surroundings are looked for.
        spacing: voxel size along each axis in mm; 1 mm without it.
        label: (B, 1, *S) bool; its surroundings are 2 to 10 mm away.
    """
    import torch

    from MedFusionLib.metrics._task import contrast, regions, retained

    found = regions(fused, sources, label, mask, spacing)
    return torch.stack([retained(contrast(inside, around)) for inside, around in found])
