"""How far registration lands from the truth, how long it takes, what it saves.

python -m Testing.benchmarks.registration phantom [SEEDS]   the phantom, turned and shifted at random
python -m Testing.benchmarks.registration known DATA        volumes moved by known transforms
python -m Testing.benchmarks.registration slices DATA       deformed slices of the atlas
python -m Testing.benchmarks.registration speed             a pair of 256 x 256 x 180 voxels
"""

from __future__ import annotations

import sys
from itertools import combinations
from time import perf_counter

import numpy as np

from MedFusionLib.errors import RegistrationError
from MedFusionLib.harmonize.pose import Pose
from MedFusionLib.phantom import head_labels, head_phantom, offset_matrix
from MedFusionLib.registration import Registration, register
from MedFusionLib.registration.quality import thinned
from MedFusionLib.volume import Grid, Volume

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


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "phantom":
        phantom(*map(int, rest))


if __name__ == "__main__":
    main()
