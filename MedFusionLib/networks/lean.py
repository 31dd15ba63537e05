"""A trained network as it runs fastest with the same results: for methods, after training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval


def lean(network: nn.Module) -> nn.Module:
    """Fold normalization into convolutions, rectify in place and keep channels of a pixel side by side; in its place.

    Results are the same to the bit for any number of threads. A network that knows a shorter way of its own has a
    method `shorten`.

    Args:
        network: in evaluation mode, its weights loaded.
    """
    for part in list(network.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)
    for part in list(network.modules()):
        if isinstance(part, nn.ReLU | nn.LeakyReLU):
            part.inplace = True
        for name, child in part.named_children():
            if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
                setattr(part, name, _Pointwise(child))
    shorten = getattr(network, "shorten", None)
    if shorten is not None:
        shorten()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _fold(layers: nn.Sequential) -> None:
    """Every normalization that follows a convolution becomes part of it."""
    kept: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and kept and isinstance(kept[-1], nn.Conv2d):
            kept[-1] = fuse_conv_bn_eval(kept[-1], layer)
        else:
            kept.append(layer)
    while len(layers):
        del layers[-1]
    layers.extend(kept)


class _Pointwise(nn.Module):
    """A filter of one pixel, as a product: a convolution adds its channels in an order that depends on the threads."""

    def __init__(self, layer: nn.Conv2d):
        super().__init__()
        self.weight, self.bias = nn.Parameter(layer.weight.detach()[:, :, 0, 0], requires_grad=False), layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x.movedim(1, -1), self.weight, self.bias).movedim(-1, 1)


def one_by_one(run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Run images one after the other on a CPU, all at once elsewhere.

    Features of a batch leave a CPU's caches, and memory that is asked for in such pieces is given back and taken anew
    every time (`python -m Testing.benchmarks.network_speed` times both).

    Args:
        run: (B, C, H, W) -> (B, D, H, W).
        images: (B, C, H, W).
    """
    images = images.contiguous(memory_format=torch.channels_last)
    if images.device.type != "cpu" or len(images) == 1:
        return run(images)
    return torch.cat([run(each) for each in images.split(1)])
