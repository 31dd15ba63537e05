"""Weights that the authors of a network published, brought into a model's folder.

They are read without running anything in the file, every tensor is checked, and none is shipped: their licence is the
authors' (IFCNN: none stated).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from MedFusionLib.errors import FileError, UnknownNameError
from MedFusionLib.networks import ifcnn, u2fusion
from MedFusionLib.weights import Model, save_model


@dataclass(frozen=True)
class Published:
    """How published tensors become ours.

    Args:
        title: for people.
        source: where they are published.
        build: configuration -> network.
        config: the one they were trained with.
        renames: (pattern, replacement) from their names to ours, tried in this order.
        who: trained them.
        inside: the file's entry that holds the tensors; "" if it holds nothing else.
    """

    title: str
    source: str
    build: Callable[[Any], nn.Module]
    config: Any
    renames: Sequence[tuple[str, str]]
    who: str = "its authors"
    inside: str = ""


PUBLISHED = {
    "ifcnn": Published(
        title="IFCNN, published weights",
        source="github.com/uzeful/IFCNN, Code/snapshots; no licence stated",
        build=ifcnn.IFCNN,
        config=ifcnn.Config(channels=3),
        renames=((r"^(conv[23])\.conv\.", r"\1.0."), (r"^(conv[23])\.bn\.", r"\1.1.")),
    ),
    "u2fusion": Published(
        title="U2Fusion, published weights of a port",
        source="github.com/ytZhang99/U2Fusion-pytorch, model; trained on pairs of exposures; no licence stated",
        build=u2fusion.U2Fusion,
        config=u2fusion.Config(padding="zeros", centered=True),
        renames=(
            (r"^conv_1\.", "first."),
            (r"^dense_layers\.(\d)\.conv\.", r"block.layers.\1."),
            (r"^sub\.3\.", "decoder.3.0."),
            (r"^sub\.", "decoder."),
        ),
        who="those who ported it, from pairs of exposures",
        inside="model",
    ),
}
"""By the name of the method."""


def import_weights(name: str, file: Path, out: Path) -> Model:
    """Make a model's folder of a published file.

    Args:
        name: of the method, a key of `PUBLISHED`.
        file: the PyTorch file.
        out: the folder.

    Raises:
        UnknownNameError: if there is no such network to bring weights into.
        FileError: if the file is missing, is none of PyTorch's, holds more than tensors, or those of another network.
    """
    if name not in PUBLISHED:
        raise UnknownNameError("Network to bring weights into", found=repr(name), accepted=", ".join(PUBLISHED))
    entry = PUBLISHED[name]
    network = entry.build(entry.config).eval()
    try:
        network.load_state_dict(_renamed(_read(file, entry.inside), entry.renames, network.state_dict()))
    except (RuntimeError, TypeError) as error:
        raise FileError(f"Weights {file}", found=str(error), accepted=f"the tensors of {entry.title}") from error
    sample = torch.linspace(0, 1, 2 * 24 * 20).reshape(1, 2, 24, 20)
    with torch.no_grad():
        golden = {"sources": sample, "output": network(sample)}
    return save_model(out, _card(name, entry, file), network.state_dict(), golden)


def _read(file: Path, inside: str) -> dict[str, Tensor]:
    from pickle import UnpicklingError

    try:
        with torch.serialization.safe_globals(_numbers()):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileError(f"Weights {file}", found=first, accepted="a PyTorch file that holds tensors only") from error
    if inside and isinstance(found, dict):
        found = found.get(inside)
    if not isinstance(found, dict) or not all(isinstance(each, Tensor) for each in found.values()):
        raise FileError(f"Weights {file}", found=type(found).__name__, accepted="tensors by name")
    return found


def _numbers() -> list[Any]:
    """What a file may hold besides tensors: NumPy's single numbers, under the name of NumPy 1; they run nothing."""
    import numpy as np

    return [(np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"), np.dtype, type(np.dtype(np.float64))]


def _renamed(found: dict[str, Tensor], renames: Sequence[tuple[str, str]], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors by our names; counters of batches, which old files lack, stay ours."""
    named = {}
    for name, tensor in found.items():
        ours = name
        for pattern, replacement in renames:
            ours = re.sub(pattern, replacement, ours)
        named[ours] = tensor
    return {name: each for name, each in own.items() if name.endswith("num_batches_tracked")} | named


def _card(name: str, entry: Published, file: Path) -> dict[str, Any]:
    return {
        "name": f"{name}_published",
        "title": entry.title,
        "what": f"Weights by {entry.who}, from {file.name}",
        "input": "gray images in [0, 1]",
        "config": asdict(entry.config),
        "data": {"source": entry.source, "licence": "as they state"},
        "recipe": f"medfusion import-weights {name} FILE",
        "seed": None,
        "hardware": "unknown",
        "minutes": None,
        "measured": f"by {entry.who}",
        "use": f"medfusion fuse --method {name} --model DIR",
        "limits": f"as {entry.who} state",
    }
