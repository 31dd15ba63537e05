"""DenseFuse: features of a dense auto-encoder, joined by how active they are, decoded into one image."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice
from MedFusionLib.registry import method


@method(
    title="DenseFuse",
    family="cnn",
    dims=(2,),
    sources=(2, None),
    reference="Li, Wu 2019, doi 10.1109/TIP.2018.2887342",
    model="densefuse",
    workspace=330.0,
    tolerance=0.02,
    mixed_precision=True,
)
def densefuse(sources, *, rule: Annotated[str, Choice("l1", "mean")] = "l1", model="densefuse"):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    The encoder is trained here on slices of brains, as an auto-encoder, never on fusion.

    Args:
        sources: harmonized images.
        rule: l1 weighs features by the L1 norm of all channels, in windows of 3 x 3; mean is the paper's addition,
            divided by the number of sources so that they keep their brightness.
        model: name or folder of the network's weights.
    """
    from MedFusionLib.networks.densefuse import Config, DenseFuse
    from MedFusionLib.networks.lean import one_by_one
    from MedFusionLib.networks.loading import trained
    from MedFusionLib.transforms.window import at_least

    network, (height, width) = trained(model, DenseFuse, Config, sources), sources.shape[2:]
    fused = one_by_one(lambda images: _fused(network, images, rule), at_least(sources, 4, (2, 3)))
    return fused[..., :height, :width]


def _fused(network, sources, rule):
    from functools import reduce

    import torch

    from MedFusionLib.transforms.window import box_mean

    features = [network.encode(sources[:, k : k + 1]) for k in range(sources.shape[1])]
    if rule == "mean":
        return network.decode(reduce(torch.add, features) / len(features))
    activity = [box_mean(each.abs().sum(1, keepdim=True), 1, (2, 3)).to(sources) + 1e-12 for each in features]
    total = reduce(torch.add, activity)
    weighted = [each * (weight / total) for each, weight in zip(features, activity, strict=True)]
    return network.decode(reduce(torch.add, weighted))
