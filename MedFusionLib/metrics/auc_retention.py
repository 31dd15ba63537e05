"""AUC kept: how well gray levels tell a lesion or organ apart, relative to the source that does so best."""

from __future__ import annotations

from MedFusionLib.registry import metric


@metric(
    title="AUC kept",
    family="task",
    direction="up",
    range=(0.0, None),
    identical=1.0,
    flat=0.0,
    reference="Hanley, McNeil 1982, doi:10.1148/radiology.143.1.7063747",
    undefined="no source shows the label",
    gamed_by=("blur", "copy"),
    differentiable=False,
)
def auc_retention(fused, sources, *, mask=None, spacing=None, label):
    """Area under the ROC curve above chance (0.5) in the fused image over the largest in a source, (B,).

    Args:
        fused: (B, 1, *S) in gray levels.
        sources: (B, K, *S) in gray levels.
        mask: (B, 1, *S), where surroundings are looked for.
        spacing: voxel size along each axis in mm; 1 mm without it.
        label: (B, 1, *S) bool; its surroundings are 2 to 10 mm away.
    """
    import torch

    from MedFusionLib.metrics._task import regions, retained, separation

    found = regions(fused, sources, label, mask, spacing)
    return torch.stack([retained(separation(inside, around) - 0.5) for inside, around in found])
