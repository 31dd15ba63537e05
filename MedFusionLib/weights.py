"""Find a trained model's folder by name, check that it is whole and the one its card describes, and read its tensors.

A model is a folder of `MedFusionLib/models/`: `card.json` says what it is and where it came from, `weights.safetensors`
holds its tensors, `golden.safetensors` a small input and output to replay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MedFusionLib.errors import DependencyError, FileError, UnknownNameError

if TYPE_CHECKING:
    from torch import Tensor

MODELS = Path(__file__).parent / "models"
CARD, WEIGHTS, GOLDEN = "card.json", "weights.safetensors", "golden.safetensors"

CARD_FACTS = (
    "name",
    "title",
    "what",
    "input",
    "data",
    "recipe",
    "seed",
    "hardware",
    "minutes",
    "measured",
    "sha256",
    "use",
    "limits",
)
"""What every card tells; `sha256` holds that of each tensor file by its name, `data` the licence and the split."""


@dataclass(frozen=True)
class Model:
    """A model's folder; nothing is read before it is asked for.

    Args:
        folder: where its files lie.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @cached_property
    def card(self) -> Mapping[str, Any]:
        """What the model is and where it came from: the facts of `CARD_FACTS` and what else it tells.

        Raises:
            FileError: if the card is missing, unreadable or lacks a fact.
        """
        path = self.folder / CARD
        try:
            card = json.loads(_content(path).decode("utf-8"))
        except ValueError as error:
            raise FileError(f"Card of the model {self.name}", found=f"{path}: {error}", accepted="JSON") from error
        missing = [fact for fact in CARD_FACTS if fact not in card] if isinstance(card, dict) else list(CARD_FACTS)
        if missing:
            raise FileError(f"Card of the model {self.name}", found=f"{path} without {', '.join(missing)}")
        if not isinstance(card["sha256"], dict):
            raise FileError(f"Card of the model {self.name}", found=f"{path} without sha256 by file name")
        return card

    def weights(self) -> dict[str, Tensor]:
        """Its tensors by name, on the CPU.

        Raises:
            FileError: if the file is missing, truncated, or not the one that the card describes.
        """
        return self._tensors(WEIGHTS)

    def golden(self) -> dict[str, Tensor]:
        """A small input and what the model makes of it; FileError as for `weights`."""
        return self._tensors(GOLDEN)

    def _tensors(self, name: str) -> dict[str, Tensor]:
        path = self.folder / name
        content = _content(path)
        found, expected = hashlib.sha256(content).hexdigest(), self.card["sha256"].get(name)
        if found != expected:
            raise FileError(
                f"Tensors of the model {self.name}",
                found=f"{path} with sha256 {found}, {len(content)} bytes",
                accepted=f"sha256 {expected}, as its card says",
                fix="The file is truncated or another one: install MedFusion or the model again",
            )
        return read_tensors(path, content)


def find_model(name: str | Path) -> Model:
    """The model of this name, or in this folder.

    Args:
        name: a name of `list_models()`, or the path of a model's folder.

    Raises:
        UnknownNameError: if there is none; the message names the nearest.
    """
    if (MODELS / name / CARD).is_file():
        return Model(MODELS / name)
    if (Path(name) / CARD).is_file():
        return Model(Path(name).resolve())
    known = [model.name for model in list_models()]
    near = get_close_matches(str(name).lower(), known, 1)
    raise UnknownNameError(
        "Model",
        found=repr(str(name)),
        accepted=f"{', '.join(known) or 'none is installed'}, or a folder with {CARD}",
        fix=f"Did you mean {near[0]}?" if near else "",
    )


def list_models() -> list[Model]:
    """Every installed model, by name."""
    return [Model(path.parent) for path in sorted(MODELS.glob(f"*/{CARD}"))]


def read_tensors(path: Path, content: bytes | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Args:
        path: the file.
        content: what it holds, if that has been read.

    Raises:
        FileError: if it is missing, truncated or of another kind.
        DependencyError: if torch or safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError as error:
        raise DependencyError("Reading a model", found=str(error), fix="pip install torch safetensors") from error
    try:
        return load(_content(path) if content is None else content)
    except SafetensorError as error:
        raise FileError("Tensors", found=f"{path}: {error}", accepted="a whole safetensors file") from error


def save_model(
    folder: Path, card: Mapping[str, Any], tensors: Mapping[str, Tensor], golden: Mapping[str, Tensor]
) -> Model:
    """Write a model's folder: the tensors, then the card with their sha256.

    Raises:
        FileError: if the card lacks a fact.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for name, values in ((WEIGHTS, tensors), (GOLDEN, golden)):
        content = save({key: value.contiguous() for key, value in values.items()})
        (folder / name).write_bytes(content)
        sums[name] = hashlib.sha256(content).hexdigest()
    text = json.dumps({**card, "sha256": sums}, indent=2, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")
    return Model(folder)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError("File of a model", found=f"{path}: {error.strerror or error}") from error
