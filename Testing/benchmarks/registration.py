"""How far rigid registration lands from the truth, and how long it takes.

python -m Testing.benchmarks.registration phantom [SEEDS]   the phantom, turned and shifted at random (40 seeds)
python -m Testing.benchmarks.registration known DATA        volumes moved by known transforms
python -m Testing.benchmarks.registration speed             a pair of 256 x 256 x 180 voxels
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from MedFusionLib.errors import RegistrationError
from MedFusionLib.harmonize.pose import Pose, load_pose
from MedFusionLib.load import load_volume
from MedFusionLib.phantom import head_labels, head_phantom, offset_matrix
from MedFusionLib.registration import KINDS, Registration, register
from MedFusionLib.registration.quality import inside_of, thinned
from MedFusionLib.volume import Grid, Volume
from Testing.peak import peak_bytes

MODALITIES = ("CT", "MR", "PET", "SPECT")
_SIDE = 32
"""Points a side at which errors are taken."""


def coarser_voxel(one: Volume, other: Volume) -> float:
    """Edge in mm of the coarser image's voxel, as a cube of the same volume."""
    return max(float(np.prod(volume.grid.spacing)) ** (1 / 3) for volume in (one, other))


def errors(found: Pose, truth: Pose, places: np.ndarray) -> np.ndarray:
    """(N,) mm between where two poses put (N, 3) points of the reference."""
    return np.linalg.norm(found.points(places) - truth.points(places), axis=1)


def places_of(grid: Grid, inside: np.ndarray) -> np.ndarray:
    """(N, 3) RAS mm of the voxels of a grid that are inside."""
    index = np.argwhere(inside)[:, ::-1]
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def row(name: str, tre: list[float], voxels: list[float], seconds: list[float]) -> None:
    """One line of a table: errors in mm and in voxels of the coarser image."""
    mm, share = np.array(tre), np.array(tre) / np.array(voxels)
    print(
        f"| {name} | {len(mm)} | {np.median(mm):.2f} | {np.median(share):.2f} | {share.max():.2f} "
        f"| {(share <= 1).mean():.0%} | {np.median(seconds):.1f} |"
    )


_HEAD = "| {} | cases | median TRE mm | in voxels | worst | within 1 voxel | median s |\n|---|---|---|---|---|---|---|"


def random_offset(seed: int) -> np.ndarray:
    """Degrees and mm: any axis and up to 20 degrees, any direction and up to 30 mm."""
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    turn, shift = rng.standard_normal((2, 3))
    turn *= rng.uniform(0, 20) / np.linalg.norm(turn)
    shift *= rng.uniform(0, 30) / np.linalg.norm(shift)
    return np.r_[Rotation.from_rotvec(turn, degrees=True).as_euler("xyz", degrees=True), shift]


def phantom(seeds: int = 40) -> None:
    """The head in all pairs of modalities, the moving one turned and shifted."""
    print(_HEAD.format("phantom"))
    total: tuple[list[float], list[float], list[float]] = ([], [], [])
    for one, other in combinations(MODALITIES, 2):
        reference = head_phantom(one)
        small = thinned(reference.grid, _SIDE)
        places = places_of(small, head_labels(small) > 0)
        lines: tuple[list[float], list[float], list[float]] = ([], [], [])
        for seed in range(seeds):
            offset = random_offset(seed)
            moving = head_phantom(other, offset=offset, seed=seed + 1)
            tre, seconds = _error(reference, moving, Pose.from_matrix(offset_matrix(offset)), places)
            for line, value in zip(lines, (tre, coarser_voxel(reference, moving), seconds), strict=True):
                line.append(value)
        row(f"{one} - {other}", *lines)
        for whole, line in zip(total, lines, strict=True):
            whole.extend(line)
    row("all", *total)


def _error(reference: Volume, moving: Volume, truth: Pose, places: np.ndarray) -> tuple[float, float]:
    """(mean error in mm, seconds); a refusal counts as infinitely far."""
    begun = perf_counter()
    try:
        found: Registration | None = register(reference, moving)
    except RegistrationError:
        found = None
    seconds = perf_counter() - begun
    return (float(errors(found.pose, truth, places).mean()) if found else np.inf), seconds


KNOWN = (
    ("CT", "sts_triplets/STS_033/CT_image", "MR", "STS_033_MR_T1_moved"),
    ("MR", "sts_triplets/STS_033/MR_T1_image", "MR", "STS_033_MR_T1_moved"),
    ("CT", "sts_triplets/STS_033/CT_image", "PET", "STS_033_PET_moved"),
    ("MR", "sts_triplets/STS_033/MR_T1_image", "PET", "STS_033_PET_moved"),
    ("PET", "sts_triplets/STS_033/PET_image", "PET", "STS_033_PET_moved"),
    ("PET", "mni2mm/PET_H2O15", "PET", "mni_PET_H2O15_moved"),
    ("MR", "mni2mm/MR_T1", "PET", "mni_PET_H2O15_moved"),
    ("CT", "mni2mm/CT_scct_HU_derived", "PET", "mni_PET_H2O15_moved"),
    ("SPECT", "ct_spect_phantom15/SPECT_simulated", "SPECT", "phantom15_SPECT_moved"),
    ("CT", "ct_spect_phantom15/CT_HU", "SPECT", "phantom15_SPECT_moved"),
)
"""Modality and file of the reference, modality and name of the moved volume in gt_rigid."""


def known(data: Path) -> None:
    """Volumes whose headers were moved by transforms that are told beside them."""
    volumes = data / "volumes"
    print(
        "| reference | moved | voxel mm | before mm | TRE mm | worst mm | in voxels | inverse mm | s |\n"
        + "|---" * 9
        + "|"
    )
    for one, path, other, name in KNOWN:
        reference = load_volume(volumes / f"{path}.nii.gz", one)
        moving = load_volume(volumes / "gt_rigid" / f"{name}.nii.gz", other)
        truth = load_pose(volumes / "gt_rigid" / f"{name}.tfm")
        places = _object(reference)
        places = places[inside_of(truth.points(places), moving.grid)]
        before = np.linalg.norm(truth.points(places) - places, axis=1).mean()
        found = register(reference, moving)
        off, voxel = errors(found.pose, truth, places), coarser_voxel(reference, moving)
        figures = (voxel, before, off.mean(), off.max(), off.mean() / voxel, found.quality.inverse_mm)
        shown = " | ".join(f"{value:.2f}" for value in figures)
        print(f"| {one} {path.split('/')[-1]} | {other} {name} | {shown} | {found.quality.seconds:.1f} |", flush=True)


def _object(volume: Volume) -> np.ndarray:
    """(N, 3) RAS mm of some thousand voxels above the volume's mean."""
    array = np.nan_to_num(volume.array, nan=volume.array[np.isfinite(volume.array)].min())
    places = places_of(volume.grid, array > array.mean())
    return places[:: max(1, len(places) // 5000)]


def speed() -> None:
    """A turned head of 256 x 256 x 180 voxels, by every kind."""
    fine: dict[str, Any] = {"shape": (180, 256, 256), "spacing": (0.9, 0.9, 1.0)}
    reference = head_phantom("CT", **fine)
    moving = head_phantom("MR", offset=(6, -4, 9, 8, -10, 5), seed=1, **fine)
    before = peak_bytes() / 2**30
    for kind in KINDS:
        found = register(reference, moving, kind)
        print(
            f"{kind:<12}{found.quality.seconds:6.1f} s   peak {peak_bytes() / 2**30:.2f} GB ({before:.2f} before)",
            flush=True,
        )


def main() -> None:
    """Run what the line asks for."""
    what, *rest = sys.argv[1:]
    if what == "phantom":
        phantom(*map(int, rest))
    elif what == "known":
        known(Path(*rest))
    else:
        speed()


if __name__ == "__main__":
    main()
