"""Registration: where the patient lies in the moving volume, found from the voxels.

images.py  ->  views.py, starts.py  ->  climb.py, bend.py
->  quality.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike

from MedFusionLib.errors import GeometryError, ParameterError, RegistrationError
from MedFusionLib.harmonize.pose import Pose, pose_of
from MedFusionLib.registration.bend import bend
from MedFusionLib.registration.climb import AFFINE, RIGID, Level, Watch, climb
from MedFusionLib.registration.images import Frames, Pair, seen
from MedFusionLib.registration.quality import Quality, movement
from MedFusionLib.registration.starts import GIVEN, Start, mirrored_score, search
from MedFusionLib.registration.views import Views
from MedFusionLib.volume import Grid, Volume

DEFORMABLE = "deformable"
KINDS = (RIGID, AFFINE, DEFORMABLE)

_COARSEST = {3: (8.0, 24), 2: (8.0, 64)}
"""Voxels of the search: at most so many mm, and so many along the smaller field of view at the least, for D = 3, 2."""

_CONTENDERS = 3
"""Starts that are climbed from on the first level before one is chosen."""

_WORSE = 0.98
"""A score that falls below this share of what it was has become worse; less is the noise of sampling."""

_CLOSE = 0.95
"""A second pose this near in score makes the first one doubtful."""

_MIRRORED = 1.1
"""A mirrored reference that scores this many times better is told: heads are nearly symmetric, images are noisy."""

_SCALE = 5.0
"""Objects that differ this many times in size along every axis are not in the same unit."""


@dataclass(frozen=True)
class Registration:
    """What was found.

    Args:
        pose: reference -> moving.
        kind: one of `KINDS`.
        quality: its figures.
    """

    pose: Pose
    kind: str
    quality: Quality


def register(
    reference: Volume,
    moving: Volume,
    kind: str = RIGID,
    *,
    start: Pose | None = None,
    seed: int = 0,
    mask: np.ndarray | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Registration:
    """Find where the reference's points lie in a moving volume of the same patient.

    A search over turns and shifts finds the neighborhood, wherever the headers put the volumes; SimpleITK climbs from
    there to the optimum of Mattes mutual information. Two single slices are registered in their plane.

    Args:
        reference: the volume whose grid the others will be brought to.
        moving: the other.
        kind: "rigid" (6 numbers), "affine" (12) or "deformable" (affine, then B-splines).
        start: a linear pose to climb from instead of searching.
        seed: of the sampling; the same input and seed give the same pose.
        mask: (K, J, I) bool on the reference's grid, the voxels to compare.
        progress: called with (fraction 0..1, message); whatever it raises, such as `Cancelled`, stops the optimizer
            and comes out of here.

    Raises:
        ParameterError: if there is no such kind.
        GeometryError: one slice against a volume, slices of different planes, sizes in different units, a start that
            is not linear.
        DataError: if a volume is constant.
        RegistrationError: if nothing is shared at any pose, or if the pose found is worse than the one given.
    """
    if kind not in KINDS:
        raise ParameterError("Registration", found=repr(kind), accepted=", ".join(KINDS))
    begun, watch = perf_counter(), Watch(progress)
    watch.tell(0.0, "Preparing the registration")
    frames = Frames.of(reference.grid, moving.grid)
    mm, levels = _resolutions(reference.grid, moving.grid, frames.dimension)
    pair = Pair(frames, seen(reference, levels[-1].mm, mask), seen(moving, levels[-1].mm))
    views, fine = Views(pair, mm, seed=seed), Views(pair, levels[0].mm, points=12_000, seed=seed)
    _same_unit(reference, moving, views)
    given = np.eye(frames.dimension + 1) if start is None else _lowered(start, frames)
    watch.part(0.02, 0.25)
    if start is None:
        starts, tried = search(views, mm, lambda share: watch.tell(share, "Searching for the patient"))
    else:
        starts, tried = [Start(given, views.score(given), GIVEN)], 1
    if not starts:
        _nothing_shared(reference, moving)
    watch.part(0.25, 0.4)
    found = _best(pair, starts, levels[:1], fine, seed, watch)
    watch.part(0.4, 0.6 if kind == DEFORMABLE else 0.85)
    matrix = max(climb(pair, found, RIGID, levels[1:] or levels, seed, watch), found, key=fine.score)
    if kind != RIGID:
        matrix = climb(pair, matrix, AFFINE, levels, seed, watch)
    before, after = fine.compared(given), fine.compared(matrix)
    _refuse_worse(reference, moving, before, after)
    watch.part(0.85, 0.97)
    back = np.linalg.inv(
        climb(pair.swapped, np.linalg.inv(matrix), kind if kind == RIGID else AFFINE, levels[-1:], seed + 7, watch)
    )
    pose = Pose.from_matrix(frames.lifted(matrix))
    overlap, displacement, bent, folding = movement(pose, reference.grid, moving.grid)
    quality = Quality(
        nmi_before=before[0] if before[1] else None,
        nmi_after=after[0],
        overlap=overlap,
        inverse_mm=views.apart(matrix, back),
        displacement_mm=displacement,
        bend_mm=bent,
        folding=folding,
        seconds=perf_counter() - begun,
        iterations=watch.iterations,
        starts=tried,
        notes=tuple(_notes(reference, moving, views, matrix, mm, starts, before, frames)),
    )
    watch.part(0, 1)
    watch.tell(1.0, "Registered")
    return Registration(pose, kind, quality)


def _resolutions(reference: Grid, moving: Grid, dimension: int) -> tuple[float, list[Level]]:
    """Edge of the search's voxels and the levels of the climb, down to the voxels of the coarser image."""
    edges, extents = [], []
    for grid in (reference, moving):
        steps, counts = np.array(grid.spacing[:dimension]), np.array(grid.shape[::-1][:dimension])
        edges.append(float(steps.prod() ** (1 / dimension)))
        extents.append(float((steps * counts).prod() ** (1 / dimension)))
    most, count = _COARSEST[dimension]
    mm = max(min(most, min(extents) / count), max(edges))
    finest = max(max(edges), mm / 4)
    levels = [Level(finest, 30_000)]
    if finest < 0.75 * mm / 2:
        levels.insert(0, Level(mm / 2, 15_000))
    return mm, levels


def _same_unit(reference: Volume, moving: Volume, views: Views) -> None:
    (_, one), (_, other) = views.objects
    ratio = other / np.maximum(one, 1e-9)
    if ratio.min() > _SCALE or ratio.max() < 1 / _SCALE:
        sizes = [f"{4 * extent.mean():.0f} mm" for extent in (one, other)]
        raise GeometryError(
            f"Registration of {moving.label} to {reference.label}",
            found=f"an object about {sizes[1]} across and one about {sizes[0]}",
            accepted="images of one patient in millimeters",
            fix="Check the voxel spacing: one file may be in centimeters or micrometers",
        )


def _lowered(start: Pose, frames: Frames) -> np.ndarray:
    if start.matrix is None:
        raise GeometryError(
            "Start of the registration", found="a deformable pose", accepted="a linear one", fix="Leave it out"
        )
    return frames.lowered(start.matrix)


def _nothing_shared(reference: Volume, moving: Volume) -> None:
    raise RegistrationError(
        f"Registration of {moving.label} to {reference.label}",
        found="no pose at which they share anything",
        accepted="two images of one part of one patient",
        fix="Check that they belong together",
    )


def _best(pair: Pair, starts: list[Start], levels: list[Level], fine: Views, seed: int, watch: Watch) -> np.ndarray:
    """Climb one level from the best starts: what scores best then."""
    contenders = starts[:_CONTENDERS]
    begin, end = watch.start, watch.stop
    reached = []
    for number, each in enumerate(contenders):
        watch.part(*(begin + (end - begin) * np.array([number, number + 1]) / len(contenders)))
        reached.append(climb(pair, each.matrix, RIGID, levels, seed, watch))
    return max([*reached, contenders[0].matrix], key=fine.score)


def _refuse_worse(reference: Volume, moving: Volume, before: tuple[float, float], after: tuple[float, float]) -> None:
    if after[0] * after[1] < _WORSE * before[0] * before[1]:
        raise RegistrationError(
            f"Registration of {moving.label} to {reference.label}",
            found=f"shared information {after[0]:.3f} on {after[1]:.0%} overlap, before {before[0]:.3f} on {before[1]:.0%}",
            accepted="a pose that brings them closer",
            fix="They may be aligned already: fuse without registration, or give a start",
        )


def _notes(reference, moving, views, matrix, mm, starts, before, frames):
    notes = []
    if not before[1]:
        notes.append(
            f"{moving.label} did not overlap {reference.label} as it was given; the search brought them together"
        )
    if len(starts) > 1 and starts[1].score > _CLOSE * starts[0].score:
        far = views.apart(starts[0].matrix, starts[1].matrix)
        notes.append(f"Another pose, {far:.0f} mm away, fits nearly as well: look at the result")
    axis = np.linalg.inv(frames.reference)[: frames.dimension, 0]
    if np.linalg.norm(axis) > 0.7:
        ratio = mirrored_score(views, matrix, axis / np.linalg.norm(axis), mm) / max(views.score(matrix), 1e-9)
        if ratio > _MIRRORED:
            notes.append(
                f"{moving.label} fits {ratio:.1f} times better when mirrored left to right: check the side marks of both"
            )
    return notes


def register_all(
    volumes: Sequence[Volume],
    kind: str,
    *,
    reference: int = 0,
    starts: Sequence[Pose | ArrayLike | None] | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> list[Registration | None]:
    """Register every volume to the reference, each for itself: one registration a volume, None for the reference.

    Args:
        volumes: two or more.
        kind: as in `register`.
        reference: index of the one that stays.
        starts: one for each volume, None where the search begins anew.
        progress: as in `register`.

    Raises:
        GeometryError: if there is no such reference, or not one start for each volume; others as `register`.
    """
    if not 0 <= reference < len(volumes):
        raise GeometryError("Reference volume", found=f"number {reference + 1}", accepted=f"1 to {len(volumes)}")
    if starts is not None and len(starts) != len(volumes):
        raise GeometryError("Starts of the registration", found=len(starts), accepted=f"one for each of {len(volumes)}")
    found: list[Registration | None] = [None] * len(volumes)
    moving = [number for number in range(len(volumes)) if number != reference]
    for place, number in enumerate(moving):
        given = None if starts is None else starts[number]
        found[number] = register(
            volumes[reference],
            volumes[number],
            kind,
            start=None if given is None else pose_of(given),
            progress=_share(progress, place, len(moving)),
        )
    return found


def _share(
    progress: Callable[[float, str], None] | None, number: int, count: int
) -> Callable[[float, str], None] | None:
    return progress and (lambda fraction, message: progress((number + fraction) / count, message))
