"""IFCNN: the strongest of the sources' features, element by element, made an image again by a small network."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Choice
from MedFusionLib.registry import method


@method(
    title="IFCNN",
    family="cnn",
    dims=(2,),
    sources=(2, None),
    reference="Zhang et al. 2020, doi 10.1016/j.inffus.2019.07.011",
    model="ifcnn",
    workspace=330.0,
    tolerance=0.04,
    mixed_precision=True,
)
def ifcnn(sources, *, join: Annotated[str, Choice("max", "mean", "sum")] = "max", model="ifcnn"):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    Trained here to find a slice again in two copies that are blurred or dimmed in different parts.

    Args:
        sources: harmonized images.
        join: how the features of the sources become one; the network was trained for max.
        model: name or folder of the network's weights.
    """
    from MedFusionLib.networks.ifcnn import IFCNN, Config
    from MedFusionLib.networks.lean import one_by_one
    from MedFusionLib.networks.loading import trained

    network = trained(model, IFCNN, Config, sources)
    return one_by_one(lambda images: network(images, join), sources)
