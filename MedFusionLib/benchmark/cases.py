"""What there is to compare: cases in a folder of pictures or volumes, and images that others fused."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from MedFusionLib.errors import FileError, ModalityError, ParameterError
from MedFusionLib.files.formats import METAIMAGE, NIFTI, NRRD, PICTURES, stem_of, suffix_of
from MedFusionLib.volume import MODALITIES, modality_named

_log = logging.getLogger("MedFusionLib")

SPLITS = ("test", "train", "all")

UNKNOWN = ""
"""The patient of a case where nothing tells it."""

_VOLUMES = (*NIFTI, *METAIMAGE, *NRRD)
_LABELS = ("mask", "label", "seg")


@dataclass(frozen=True)
class Case:
    """One set of sources of one patient.

    Args:
        group: the data set it belongs to, by modalities: methods are compared within it.
        name: unique in its group.
        patient: whose images these are; cases of one patient are no independent samples. `UNKNOWN` if not told.
        sources: files, anatomical ones first, and the modality of each.
        label: a file that marks a lesion, on the grid of the first source.
        published: files that others fused, by method.
        luma: color sources count by their luma, as in the published work, even if their palette is known.
    """

    group: str
    name: str
    patient: str
    sources: tuple[tuple[Path, str], ...]
    label: Path | None = None
    published: dict[str, Path] = field(default_factory=dict)
    luma: bool = False


def cases_of(data: Path, split: str = "test", *, any_names: bool = False) -> list[Case]:
    """The cases of a folder of data.

    Two layouts: pictures, `[SET/]MODALITY/ID.png` with one folder a modality (`CT-MRI/CT/16003.png`), where a
    `splits.json` in the folder or beside it tells train and test ids and the patients; and volumes,
    `CASE/MODALITY*.nii.gz`, one folder a patient, where a file with "mask", "label" or "seg" in its name
    marks a lesion.

    Args:
        data: the folder.
        split: "test", "train" or "all"; without `splits.json`, and for volumes, there is only "all".
        any_names: folders of pictures of which none is named as a modality (`far/1.png`, `near/1.png`) count as OTHER.

    Raises:
        FileError: if the folder is missing or holds no case.
        ParameterError: if there is no such split.
    """
    if split not in SPLITS:
        raise ParameterError("Split", found=repr(split), accepted=", ".join(SPLITS))
    if not data.is_dir():
        raise FileError(f"Data folder {data}", found="no such folder", fix="Check the path")
    splits = _splits(data)
    found = [
        case
        for folder in (data, *_folders(data))
        for case in _pictures(folder, splits.get(folder.name), split, any_names)
    ]
    found += [case for folder in _folders(data) for case in _volumes(folder, data.name)]
    if not found:
        raise FileError(
            f"Data folder {data}",
            found="no case" + (f" of split {split}" if splits else ""),
            accepted="[SET/]MODALITY/ID.png pictures, or CASE/MODALITY*.nii.gz volumes, of two modalities or more",
        )
    return found


def published_cases(outputs: Path) -> list[Case]:
    """The cases of a folder of published results, `METHOD/SET/ID.png`, each with the inputs it was made of.

    `mapping.json` in the folder lists method, modality, file and the two sources of each result, as paths from the
    folder above. Results of the same inputs are one case.

    Raises:
        FileError: if there is no mapping, or none of its results is there.
    """
    path = outputs / "mapping.json"
    if not path.is_file():
        raise FileError(f"Published results {outputs}", found="no mapping.json", accepted="one that names the sources")
    cases: dict[tuple[str, ...], Case] = {}
    splits = _splits(outputs)
    for entry in json.loads(path.read_text(encoding="utf-8")):
        files = [outputs.parent / entry[key] for key in ("file", "src_mri", "src_functional_or_ct")]
        if missing := [str(file) for file in files if not file.is_file()]:
            _log.warning(f"Left out a result of {entry['method']}: {', '.join(missing)} is not there")
            continue
        output, *sources = files
        inputs = f"{entry['modality']} of {sources[0].relative_to(outputs.parent).parts[0]}"
        key = (inputs, *map(str, sources))
        if key not in cases:
            patient = _patient(splits.get(entry["modality"]), sources[0].stem)
            modalities = _pair(entry["modality"])
            paired = sorted(zip(sources, modalities, strict=True), key=lambda source: _order(source[1]))
            cases[key] = Case(inputs, sources[0].stem, patient, tuple(paired), luma=True)
        cases[key].published[entry["method"]] = output
    if not cases:
        raise FileError(f"Published results {outputs}", found="none whose files are there", accepted="one or more")
    return list(cases.values())


def _pair(name: str) -> tuple[str, str]:
    """Modalities of a set such as "PET-MRI", the anatomical one last there and first here; OTHER if it tells none."""
    first, _, last = name.partition("-")
    try:
        return modality_named(last), modality_named(first)
    except ModalityError:
        return "OTHER", "OTHER"


def _splits(data: Path) -> dict[str, Any]:
    for folder in (data, data.parent):
        if (folder / "splits.json").is_file():
            return json.loads((folder / "splits.json").read_text(encoding="utf-8"))
    return {}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(folder: Path, told: dict[str, Any] | None, split: str, any_names: bool) -> Iterator[Case]:
    """The cases of one set: an image of the same name in each modality's folder."""
    by_modality = sorted((_order(m), m, path) for path in _folders(folder) if (m := _modality(path.name)))
    if not by_modality and any_names:
        by_modality = [(_order("OTHER"), "OTHER", path) for path in _folders(folder)]
    if len(by_modality) < 2:
        return
    files = [{stem_of(f): f for f in sorted(path.iterdir()) if suffix_of(f) in PICTURES} for *_, path in by_modality]
    names = sorted(set.intersection(*map(set, files)))
    if told and split != "all":
        names = [name for name in names if name in set(told[split])]
    for name in names:
        sources = tuple((found[name], modality) for found, (_, modality, _) in zip(files, by_modality, strict=True))
        yield Case(folder.name, name, _patient(told, name), sources)


def _volumes(folder: Path, group: str) -> Iterator[Case]:
    """The volumes of one patient, if the folder holds two or more."""
    files = [path for path in sorted(folder.iterdir()) if suffix_of(path) in _VOLUMES]
    labels = [path for path in files if any(word in path.name.lower() for word in _LABELS)]
    named = [(m, path) for path in files if path not in labels and (m := _modality(path.name.split("_")[0]))]
    if len(named) < 2:
        return
    sources = sorted(((path, m) for m, path in named), key=lambda source: _order(source[1]))
    first = sources[0][1]
    label = next((path for path in labels if _modality(path.name.split("_")[0]) == first), None)
    yield Case(group, folder.name, folder.name, tuple(sources), label)


def _modality(name: str) -> str | None:
    try:
        return modality_named(name)
    except ModalityError:
        return None


def _order(modality: str) -> int:
    """Anatomical modalities first, as methods see them."""
    return MODALITIES.index(modality)


def _patient(told: dict[str, Any] | None, name: str) -> str:
    if told is None:
        return UNKNOWN
    return next((told["case"][key] for key in (name, f"x_cdd{name}", f"x_{name}") if key in told["case"]), UNKNOWN)


def sizes(cases: Sequence[Case]) -> dict[str, int]:
    """Cases of each group, in their order."""
    counted: dict[str, int] = {}
    for case in cases:
        counted[case.group] = counted.get(case.group, 0) + 1
    return counted
