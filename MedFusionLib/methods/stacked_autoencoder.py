"""Stacked convolutional auto-encoder: the more energetic of the learned high maps, the lowest map weighed by energy."""

from __future__ import annotations

from MedFusionLib.registry import method


@method(
    title="Stacked auto-encoder (DSCNN)",
    family="cnn",
    dims=(2,),
    sources=(2, None),
    reference="Xia, Yin, Wang 2019, doi 10.1007/s10586-018-2026-1",
    model="stacked_autoencoder",
    workspace=100.0,
    tolerance=0.05,
    mixed_precision=True,
)
def stacked_autoencoder(sources, *, model="stacked_autoencoder"):
    """Fuse (B, K, H, W) in [0, 1] into (B, 1, H, W).

    The paper leaves its rules open: choose-max with a majority for the high maps and weighing by squared energy for the
    low one are ours, as in the transforms.

    Args:
        sources: harmonized images.
        model: name or folder of the network's weights.
    """
    from MedFusionLib.networks.loading import trained
    from MedFusionLib.networks.stacked_autoencoder import Config, StackedAutoencoder
    from MedFusionLib.transforms.rules import low_pass, most_salient
    from MedFusionLib.transforms.window import at_least, spatial_axes

    network = trained(model, StackedAutoencoder, Config, sources)
    (count, number), (height, width) = sources.shape[:2], sources.shape[2:]
    images = at_least(sources, 4, (2, 3)).flatten(0, 1)[:, None]
    axes = spatial_axes(sources)
    highs, low = network.decompose(images)
    highs = [most_salient(high[:, 0].unflatten(0, (count, number)), axes) for high in highs]
    low = low_pass(low[:, 0].unflatten(0, (count, number)), "energy", axes)
    return network.rebuild(highs, low)[..., :height, :width]
