"""FusionDN: one densely connected network that weighs sources by their quality while it learns."""

from __future__ import annotations

from MedFusionLib.registry import method


@method(
    title="FusionDN",
    family="unified",
    dims=(2,),
    sources=(2, 2),
    reference="Xu et al. 2020, doi 10.1609/aaai.v34i07.6936",
    model="fusiondn",
    workspace=330.0,
    tolerance=0.05,
    mixed_precision=True,
)
def fusiondn(sources, *, model="fusiondn"):
    """Fuse (B, 2, H, W) in [0, 1] into (B, 1, H, W).

    Trained here on pairs of slices of brains, then on photographs in and out of focus and infrared ones, what was
    learned first held in place; at a third of the paper's width.

    Args:
        sources: harmonized images.
        model: name or folder of the network's weights.
    """
    from MedFusionLib.networks.fusiondn import Config, FusionDN
    from MedFusionLib.networks.lean import one_by_one
    from MedFusionLib.networks.loading import trained
    from MedFusionLib.transforms.window import at_least

    network, (height, width) = trained(model, FusionDN, Config, sources), sources.shape[2:]
    return one_by_one(network, at_least(sources, 4, (2, 3)))[..., :height, :width]
