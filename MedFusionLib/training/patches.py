"""Patches of aligned slices, turned, scaled, shaded and exchanged at random, from one generator: a seed tells all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from MedFusionLib.training.pairs import Slices

_TRIES = 8
"""Places looked at until a patch shows something."""

_LEAST_SHOWN = 0.2
"""Share of a patch that must be brighter than `_DARK`."""

_DARK = 0.02


@dataclass(frozen=True)
class Augmentation:
    """How patches vary; geometry is shared by the sources of a pair, shading is not.

    Args:
        degrees: largest rotation.
        scale: largest factor of size, and one over the smallest.
        gamma: largest exponent, and one over the smallest.
        noise: largest standard deviation of what is added.
        swap: the sources change places at random.
    """

    degrees: float = 15.0
    scale: float = 1.1
    gamma: float = 1.4
    noise: float = 0.02
    swap: bool = True


PLAIN = Augmentation(0.0, 1.0, 1.0, 0.0, swap=False)
"""Patches as they are."""


Prepare = Callable[[Tensor, torch.Generator], Tensor]


class Patches:
    """Batches of random patches.

    Args:
        slices: what to cut from; a set is drawn first, then a slice, so that small sets count as much.
        size: pixels a side.
        batch: patches at once.
        seed: of everything random here.
        augmentation: how they vary.
        prepare: (batch, generator) -> what the loss gets, such as a task with its answer; None for the patches.
    """

    def __init__(
        self,
        slices: Sequence[Slices],
        size: int,
        batch: int,
        seed: int,
        augmentation: Augmentation = Augmentation(),
        prepare: Prepare | None = None,
    ):
        self._slices, self._size, self._batch, self._augmentation = slices, size, batch, augmentation
        self._prepare = prepare
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self) -> Tensor:
        """(B, K, size, size) float32 in [0, 1], the answers behind the K sources; or what they are prepared to be."""
        patches = torch.stack([self._patch() for _ in range(self._batch)])
        varied = augmented(patches, self._augmentation, self.generator, len(self._slices[0].modalities))
        return varied if self._prepare is None else self._prepare(varied, self.generator)

    def _patch(self) -> Tensor:
        group = self._slices[self._number(len(self._slices))]
        number, shown = self._number(len(group.images)), len(group.modalities)
        image = torch.cat([group.images[number], *group.answers[number : number + 1]])
        for _ in range(_TRIES):
            patch = _cut(image, self._number, self._size)
            if (patch[:shown].amax(0) > _DARK).float().mean() >= _LEAST_SHOWN:
                break
        return patch

    def _number(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self.generator))


def _cut(image: Tensor, number: object, size: int) -> Tensor:
    """A patch at a random place; an image that is smaller is mirrored."""
    short = [max(0, size - side) for side in image.shape[1:]]
    if any(short):
        image = functional.pad(image.float()[None], (0, short[1], 0, short[0]), mode="replicate")[0]
    top, left = (number(side - size + 1) for side in image.shape[1:])  # type: ignore[operator]
    return image[:, top : top + size, left : left + size].float()


def augmented(
    patches: Tensor, augmentation: Augmentation, generator: torch.Generator, shown: int | None = None
) -> Tensor:
    """(B, K, H, H) in [0, 1] varied.

    Args:
        patches: (B, K, H, H) in [0, 1].
        augmentation: how far.
        generator: of the random numbers.
        shown: how many of the K are sources; the others are answers, that are turned with them and stay otherwise.
    """

    def uniform(low: float, high: float, shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=generator) * (high - low) + low

    if augmentation.degrees or augmentation.scale > 1:
        patches = _turned(patches, augmentation, uniform)
    patches, answers = patches[:, :shown], patches[:, shown:] if shown else patches[:, :0]
    count, sources = patches.shape[:2]
    if augmentation.gamma > 1:
        reach = math.log(augmentation.gamma)
        patches = patches.clamp(min=1e-6) ** uniform(-reach, reach, (count, sources, 1, 1)).exp()
    if augmentation.noise:
        noise = torch.randn(patches.shape, generator=generator)
        patches = patches + uniform(0, augmentation.noise, (count, sources, 1, 1)) * noise
    if augmentation.swap:
        order = torch.rand((count, sources), generator=generator).argsort(1)
        patches = patches.gather(1, order[:, :, None, None].expand_as(patches))
    return torch.cat([patches.clamp(0, 1), answers], 1)


def _turned(patches: Tensor, augmentation: Augmentation, uniform: object) -> Tensor:
    """Mirrored, turned by quarters and by less, and scaled: one interpolation."""
    count = len(patches)
    quarters = (uniform(0, 4, (count,))).floor() * (math.pi / 2)  # type: ignore[operator]
    angle = quarters + uniform(-1, 1, (count,)) * math.radians(augmentation.degrees)  # type: ignore[operator]
    reach = math.log(augmentation.scale)
    size = uniform(-reach, reach, (count,)).exp()  # type: ignore[operator]
    mirror = uniform(-1, 1, (count,)).sign()  # type: ignore[operator]
    zero = torch.zeros(count)
    rows = [angle.cos() * size * mirror, -angle.sin() * size, zero, angle.sin() * size * mirror, angle.cos() * size]
    theta = torch.stack([*rows, zero], 1).view(count, 2, 3)
    grid = functional.affine_grid(theta, list(patches.shape), align_corners=False)
    return functional.grid_sample(patches, grid, padding_mode="reflection", align_corners=False)


def blurred(image: Tensor, sigma: float) -> Tensor:
    """(1, 1, H, W) under a Gaussian of `sigma` pixels; borders repeat."""
    reach = int(3 * sigma + 0.5)
    places = torch.arange(-reach, reach + 1, dtype=image.dtype)
    taps = torch.exp(-(places**2) / (2 * sigma**2))
    taps = taps / taps.sum()
    padded = functional.pad(image, (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
