"""What networks are trained on: aligned slices of patients, some of whom are kept aside for validation.

The slices pass through `harmonize.align`, so that a network sees in training what it gets in use.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from MedFusionLib.benchmark.cases import Case, cases_of
from MedFusionLib.errors import DataError, FileError, InputError
from MedFusionLib.harmonize import NO_COLOR, align
from MedFusionLib.load import load_volume
from MedFusionLib.slabs import Progress

_log = logging.getLogger("MedFusionLib")

_KEPT_ASIDE = 1 / 6
"""Share of a set's slices that is for validation, whole patients of them."""

_LEAST = 0.05
"""Share of foreground below which a slice of a volume teaches nothing."""


@dataclass(frozen=True)
class Slices:
    """Aligned slices of one set of modalities.

    Args:
        group: the set, such as "PET-MRI".
        modalities: of the sources, in their order.
        images: one (K, H, W) float16 in [0, 1] a slice.
        patients: whose they are.
        answers: what a network shall make of each, (C, H, W) float16; empty if its loss needs none.
    """

    group: str
    modalities: tuple[str, ...]
    images: tuple[Tensor, ...]
    patients: tuple[str, ...]
    answers: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Split:
    """Training and validation parts of the same sets, no patient in both."""

    train: tuple[Slices, ...]
    validation: tuple[Slices, ...]
    skipped: int


def load_split(
    data: Path, sets: Sequence[str] = (), progress: Progress | None = None, *, any_names: bool = False
) -> Split:
    """Read the training cases of a folder, a file that cannot be read is named, left out and counted.

    Args:
        data: pictures or volumes as `benchmark.cases.cases_of` takes them; where `splits.json` tells test ids, these
            are never read.
        sets: groups to take; all if empty.
        progress: as in `fuse`.
        any_names: as `cases_of` takes it.

    Raises:
        FileError: if the folder is missing, holds no case, or lacks one of the sets.
        DataError: if a set has no second patient to keep aside, or no readable case.
    """
    has_splits = any((folder / "splits.json").is_file() for folder in (data, data.parent))
    cases = cases_of(data, "train" if has_splits else "all", any_names=any_names)
    groups = {case.group: [each for each in cases if each.group == case.group] for case in cases}
    missing = [name for name in sets if name not in groups]
    if missing:
        raise FileError(
            f"Training data {data}", found=f"no {', '.join(missing)}", accepted=f"one of {', '.join(groups)}"
        )
    chosen = [groups[name] for name in (sets or groups)]
    total, done, skipped = sum(map(len, chosen)), 0, 0
    train: list[Slices] = []
    validation: list[Slices] = []
    for members in chosen:
        read: list[tuple[Case, list[Tensor]]] = []
        for case in members:
            if progress:
                progress(done / total, f"Reading {case.group} {case.name}")
            done += 1
            try:
                read.append((case, _slices(case)))
            except InputError as error:
                skipped += 1
                _log.warning(f"Left out {case.group} {case.name}: {error}")
        counts: Counter[str] = Counter()
        for case, slices in read:
            counts[_owner(case)] += len(slices)
        aside = _kept_aside(members[0].group, counts)
        for part, wanted in ((train, False), (validation, True)):
            part.append(_gathered(members[0], [each for each in read if (_owner(each[0]) in aside) is wanted]))
    return Split(tuple(train), tuple(validation), skipped)


def _owner(case: Case) -> str:
    return case.patient or case.name


def _kept_aside(group: str, slices: Mapping[str, int]) -> set[str]:
    """The patients for validation: those with the fewest slices, up to a sixth of all, one at the least."""
    if len(slices) < 2:
        raise DataError(
            f"Patients of {group}",
            found=len(slices),
            accepted="two or more: one is kept aside for validation",
            fix="Name the patients in splits.json, or give more cases",
        )
    first, *others = sorted(slices, key=lambda owner: (slices[owner], owner))
    aside, held = {first}, slices[first]
    for owner in others:
        held += slices[owner]
        if held > _KEPT_ASIDE * sum(slices.values()):
            break
        aside.add(owner)
    return aside


def _slices(case: Case) -> list[Tensor]:
    """(K, H, W) of each axial slice with something on it; a picture is one."""
    aligned = align([load_volume(path, modality) for path, modality in case.sources], color=NO_COLOR)
    stack = torch.stack([torch.from_numpy(volume.array.copy()) for volume in aligned.volumes], 1)
    shares = torch.from_numpy(aligned.mask.copy()).flatten(1).float().mean(1)
    kept = [image.half() for image, share in zip(stack, shares, strict=True) if share >= _LEAST or len(stack) == 1]
    if not kept:
        raise DataError(f"Case {case.name}", found="no slice with foreground", accepted="one or more")
    return kept


def _gathered(case: Case, read: Sequence[tuple[Case, list[Tensor]]]) -> Slices:
    if not read:
        raise DataError(f"Cases of {case.group}", found="none that can be read", accepted="one or more")
    images = [(image, _owner(each)) for each, slices in read for image in slices]
    modalities = tuple(modality for _, modality in case.sources)
    return Slices(case.group, modalities, tuple(image for image, _ in images), tuple(owner for _, owner in images))
