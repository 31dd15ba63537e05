"""Supervised CNN: one network for every pair of modalities, that learned from fused images."""

from __future__ import annotations

from MedFusionLib.registry import method


@method(
    title="Supervised CNN",
    family="cnn",
    dims=(2,),
    sources=(2, 2),
    reference="Li et al. 2021, doi 10.3389/fnins.2021.638976",
    model="supervised_cnn",
    workspace=330.0,
    tolerance=0.06,
    mixed_precision=True,
)
def supervised_cnn(sources, *, model="supervised_cnn"):
    """Fuse (B, 2, H, W) in [0, 1] into (B, 1, H, W).

    Trained here to give what the best of four transforms gives for a pair of slices of brains; one network serves all
    pairs of modalities.

    Args:
        sources: harmonized images.
        model: name or folder of the network's weights.
    """
    from MedFusionLib.networks.lean import one_by_one
    from MedFusionLib.networks.loading import trained
    from MedFusionLib.networks.supervised_cnn import STRIDE, Config, SupervisedCNN
    from MedFusionLib.transforms.window import in_steps

    network, (height, width) = trained(model, SupervisedCNN, Config, sources), sources.shape[2:]
    return one_by_one(network, in_steps(sources, STRIDE, (2, 3)))[..., :height, :width]
