"""U2Fusion: one densely connected network that keeps of each source as much as it has to tell."""

from __future__ import annotations

from MedFusionLib.registry import method


@method(
    title="U2Fusion",
    family="unified",
    dims=(2,),
    sources=(2, 2),
    reference="Xu et al. 2022, doi 10.1109/TPAMI.2020.3012548",
    model="u2fusion",
    workspace=330.0,
    tolerance=0.08,
    mixed_precision=True,
)
def u2fusion(sources, *, model="u2fusion"):
    """Fuse (B, 2, H, W) in [0, 1] into (B, 1, H, W).

    Trained here on pairs of slices of brains; the degrees of information come from gradients over a pyramid, not from a
    network trained on ImageNet.

    Args:
        sources: harmonized images.
        model: name or folder of the network's weights.
    """
    from MedFusionLib.networks.lean import one_by_one
    from MedFusionLib.networks.loading import trained
    from MedFusionLib.networks.u2fusion import Config, U2Fusion
    from MedFusionLib.transforms.window import at_least

    network, (height, width) = trained(model, U2Fusion, Config, sources), sources.shape[2:]
    return one_by_one(network, at_least(sources, 4, (2, 3)))[..., :height, :width]
