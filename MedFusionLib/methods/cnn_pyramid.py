"""CNN and Laplacian pyramid: a network says which source is the sharper, level by level it is weighed or chosen."""

from __future__ import annotations

from typing import Annotated

from MedFusionLib.params import Range
from MedFusionLib.registry import method


@method(
    title="CNN + Laplacian pyramid",
    family="cnn",
    dims=(2,),
    sources=(2, 2),
    reference="Liu, Chen, Cheng, Peng 2017, doi 10.23919/ICIF.2017.8009769",
    model="cnn_pyramid",
    workspace=330.0,
    mixed_precision=True,
)
def cnn_pyramid(
    sources,
    *,
    levels: Annotated[int, Range(1, 8, unit="levels")] = 6,
    similarity: Annotated[float, Range(0, 1)] = 0.6,
    model="cnn_pyramid",
):
    """Fuse (B, 2, H, W) in [0, 1] into (B, 1, H, W).

    The weights are the mean over both orders of the sources, so that exchanging them changes nothing. The network is
    trained here, at half the paper's width.

    Args:
        sources: harmonized images.
        levels: how often the image is halved; the paper goes on until one pixel is left.
        similarity: of two bands around a pixel, from which on they are weighed; below it the stronger one is taken.
        model: name or folder of the network's weights.
    """
    from MedFusionLib.networks.loading import trained
    from MedFusionLib.networks.siamese import Config, Siamese
    from MedFusionLib.transforms.pyramid import details, reduce, synthesize
    from MedFusionLib.transforms.window import spatial_axes

    axes = spatial_axes(sources)
    weight, above = _weights(trained(model, Siamese, Config, sources), sources), sources
    bands = []
    for detail, below in details(sources, levels, axes):
        bands.append(_joined(detail, weight, similarity))
        weight, above = reduce(weight, axes), below
    return synthesize(bands, _joined(above, weight, similarity), axes)


def _joined(band, weight, similarity):
    """(B, 2, H, W) -> (B, 1, H, W): weighed where the sources are alike, else the one with more energy."""
    import torch

    from MedFusionLib.transforms.activity import local_energy, local_similarity

    first, second = band[:, :1], band[:, 1:]
    weighed = weight * first + (1 - weight) * second
    seen = band.detach()
    alike = local_similarity(seen[:, :1], seen[:, 1:])
    energy = local_energy(seen)
    stronger = torch.where(energy[:, :1] >= energy[:, 1:], first, second)
    return torch.where(alike > similarity, weighed, stronger)


def _weights(network, sources):
    """(B, 1, H, W) in [0, 1]: how much the first source counts, the mean verdict of all blocks around a pixel."""
    import torch
    from torch.nn import functional

    from MedFusionLib.networks.lean import one_by_one
    from MedFusionLib.networks.siamese import BLOCK
    from MedFusionLib.transforms.window import at_least, symmetric_pad

    height, width = sources.shape[2:]
    images = at_least(sources, BLOCK, (2, 3))
    for axis in (2, 3):
        images = symmetric_pad(images, axis, 0, images.shape[axis] % 2)
    verdicts = one_by_one(lambda pair: _verdicts(network, pair), images)
    ones = torch.ones((1, 1, BLOCK, BLOCK), dtype=sources.dtype, device=sources.device)
    total = functional.conv_transpose2d(verdicts, ones, stride=2)
    count = functional.conv_transpose2d(torch.ones_like(verdicts[:1]), ones, stride=2)
    return (total / count)[..., :height, :width]


def _verdicts(network, pair):
    """(B, 2, H, W) -> (B, 1, H / 2 - 7, W / 2 - 7): that the first source is the sharper, mean over both orders."""
    first, second = (network.features(pair[:, k : k + 1]) for k in range(2))
    there, back = network.verdicts(first, second)
    return (there.softmax(1)[:, :1] + back.softmax(1)[:, 1:]) / 2
