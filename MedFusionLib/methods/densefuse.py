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
    from MedFusionLib.networks.loading import trained
    from MedFusionLib.transforms.window import at_least, box_mean

    network = trained(model, DenseFuse, Config, sources)
    (count, number), (height, width) = sources.shape[:2], sources.shape[2:]
    images = at_least(sources, 4, (2, 3)).flatten(0, 1)[:, None]
    features = network.encode(images).unflatten(0, (count, number))
    if rule == "mean":
        joined = features.mean(1)
    else:
        activity = box_mean(features.abs().sum(2), 1, (2, 3)).to(sources) + 1e-12
        joined = (features * (activity / activity.sum(1, keepdim=True))[:, :, None]).sum(1)
    return network.decode(joined)[..., :height, :width]
