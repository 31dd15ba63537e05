"""AUC: how well the gray level of the fused image alone tells a lesion or organ from its surroundings."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="AUC",
    family="task",
    direction="up",
    range=(0.5, 1.0),
    identical="AUC of the image",
    flat=0.5,
    reference="Hanley, McNeil 1982, doi:10.1148/radiology.143.1.7063747",
    gamed_by=("blur", "copy"),
    differentiable=False,
)
def auc(fused, sources, *, mask=None, spacing=None, label):
    """Area under the ROC curve, (B,): share of pairs of voxels that are in order, whichever region is brighter.

    Exact, by ranks; ties count half.

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels; not looked at.
        mask: (B, 1, *S), where surroundings are looked for.
        spacing: voxel size along each axis in mm; 1 mm without it.
        label: (B, 1, *S) bool; its surroundings are 2 to 10 mm away.
    """
    import torch

    from MedFusionLib.metrics._task import regions, separation

    found = regions(fused, sources[:, :0], label, mask, spacing)
    return torch.cat([separation(inside, around) for inside, around in found])
