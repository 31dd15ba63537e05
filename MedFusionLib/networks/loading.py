"""A trained network by its name, ready to run where the images are."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from MedFusionLib.errors import FileError
from MedFusionLib.networks.lean import lean
from MedFusionLib.weights import find_model


def trained(name: str | Path, build: Callable[[Any], nn.Module], config: Callable[..., Any], like: Tensor) -> Any:
    """A network with its shipped weights, on the device and in the precision of the images.

    Args:
        name: of the model, or its folder.
        build: configuration -> network.
        config: the network's configuration class; the model's card fills it.
        like: the images it is for.

    Raises:
        UnknownNameError: if the model is not installed.
        FileError: if its files are missing, truncated, foreign, or of another network.
    """
    return _trained(name, build, config, like.device, like.dtype)


@lru_cache(maxsize=16)
def _trained(
    name: str | Path,
    build: Callable[[Any], nn.Module],
    config: Callable[..., Any],
    device: torch.device,
    dtype: torch.dtype,
) -> nn.Module:
    # Outside inference mode, so that gradients can flow through it to the images.
    with torch.inference_mode(False):
        model = find_model(name)
        weights = {key: value.to(torch.float32) for key, value in model.weights().items()}
        try:
            told = model.card["config"].items()
            network = build(config(**{key: tuple(value) if isinstance(value, list) else value for key, value in told}))
            network.load_state_dict(weights)
        except (KeyError, TypeError, RuntimeError) as error:
            raise FileError(f"Weights of {name}", found=str(error), accepted="the tensors of this network") from error
        return lean(network.eval().requires_grad_(False)).to(device=device, dtype=dtype)
