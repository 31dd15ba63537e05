"""MCFNet: a residual network at a quarter of the size, given the sources back on its way up."""

from __future__ import annotations

from MedFusionLib.registry import method

_FRAME = 8
"""Pixels around an image that the network sees and nobody else."""


@method(
    title="MCFNet",
    family="cnn",
    dims=(2,),
    sources=(2, 2),
    reference="Liang et al. 2019, doi 10.1109/JSEN.2019.2913281",
    model="mcfnet",
    workspace=330.0,
    tolerance=0.06,
    ripple=3 / 255,
    mixed_precision=True,
)
def mcfnet(sources, *, model="mcfnet"):
    """Fuse (B, 2, H, W) in [0, 1] into (B, 1, H, W).

    Trained here on pairs of slices of brains, at a quarter of full width, with a loss of ours: the paper tells none.

    Args:
        sources: harmonized images.
        model: name or folder of the network's weights.
    """
    from MedFusionLib.networks.lean import one_by_one
    from MedFusionLib.networks.loading import trained
    from MedFusionLib.networks.mcfnet import STRIDE, Config, MCFNet
    from MedFusionLib.transforms.window import in_steps, symmetric_pad

    network, (height, width) = trained(model, MCFNet, Config, sources), sources.shape[2:]
    images = sources
    for axis in (2, 3):
        # Its ripple breaks where the image ends, and shows there: a frame is added, and cut off again.
        images = symmetric_pad(images, axis, _FRAME, _FRAME)
    fused = one_by_one(network, in_steps(images, STRIDE, (2, 3)))
    return fused[..., _FRAME : _FRAME + height, _FRAME : _FRAME + width]
