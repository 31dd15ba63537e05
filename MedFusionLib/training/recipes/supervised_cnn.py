"""The supervised network: it learns to give what the best of the classical methods gives for a pair.

    medfusion train supervised_cnn --data DIR

The paper's own labels are not told. Here each training slice is fused with four transforms, and the result with the
best mean rank over the default panel of metrics is the answer; the pixel maximum, which that panel favors though it
buries what is dark beneath what is bright, is not among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from MedFusionLib.compare import compare
from MedFusionLib.harmonize.mask import foreground
from MedFusionLib.networks.supervised_cnn import Config, SupervisedCNN
from MedFusionLib.training.loop import Schedule
from MedFusionLib.training.losses import absolute, slopes, squared, ssim
from MedFusionLib.training.patches import Augmentation
from MedFusionLib.training.recipe import Recipe
from MedFusionLib.volume import Aligned, Grid, Volume, Window

TEACHERS = ("laplacian", "swt_max", "nsct_max", "nsst_max")


def best_classical(image: Tensor, modalities: Sequence[str]) -> Tensor:
    """(K, H, W) in [0, 1] -> (1, H, W): what the best of `TEACHERS` makes of it."""
    arrays = image.float().numpy()[:, None]
    grid, fields = Grid(arrays.shape[1:], np.eye(4)), np.ones(arrays.shape, bool)
    volumes = tuple(Volume(array, grid, name) for array, name in zip(arrays, modalities, strict=True))
    aligned = Aligned(volumes, (Window(0, 1),) * len(volumes), fields, foreground(list(arrays), fields))
    best = min(compare(aligned, TEACHERS, device="cpu").results, key=lambda each: each.mean_rank)
    if best.fused is None:
        raise best.error or RuntimeError(best.method)
    return torch.from_numpy(best.fused.volume.array.copy()).clamp(0, 1)


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    """Of (B, 3, H, W): two sources and the answer."""
    fused, wanted = network(batch[:, :2]), batch[:, 2:]
    steep = (slopes(fused) - slopes(wanted)).abs().mean((2, 3, 4))
    return (20 * squared(fused, wanted) + 0.5 * (1 - ssim(fused, wanted)) + steep + absolute(fused, wanted)).mean()


RECIPE = Recipe(
    name="supervised_cnn",
    title="Supervised CNN",
    what="Encoder and decoder with two halvings, that imitates the best of four transforms",
    build=SupervisedCNN,
    config=Config(),
    loss=loss,
    use="`supervised_cnn`",
    limits="trained on brain slices of 256 x 256; not for diagnosis",
    golden=lambda network, sources: network(sources),
    answer=best_classical,
    batch=8,
    sources=2,
    # Shading would part the sources from the answer.
    augmentation=Augmentation(gamma=1.0, noise=0.0),
    schedule=Schedule(steps=4000, rate=1e-3),
)
