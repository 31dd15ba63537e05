"""Registration: where the patient lies in the moving volume, found from the voxels.

images.py  ->  views.py, starts.py (search)  ->  climb.py (rigid, affine)
->  bend.py, lattice.py, information.py (deformable)
->  checks.py, quality.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike

from MedFusionLib.errors import GeometryError, ParameterError
from MedFusionLib.harmonize.pose import Pose, pose_of
from MedFusionLib.registration.bend import Mesh, Stiffness, bend
from MedFusionLib.registration.checks import doubts, nothing_shared, refuse_worse, require_one_unit
from MedFusionLib.registration.climb import AFFINE, RIGID, Level, Watch, climb, nearest_rotation
from MedFusionLib.registration.frames import Frames
from MedFusionLib.registration.images import Pair, seen
from MedFusionLib.registration.quality import Quality, movement
from MedFusionLib.registration.starts import GIVEN, Start, search
from MedFusionLib.registration.views import Views
from MedFusionLib.volume import Grid, Volume

DEFORMABLE = "deformable"
KINDS = (RIGID, AFFINE, DEFORMABLE)

_COARSEST, _FEWEST = 8.0, {2: 64, 3: 24}
"""Voxels of the search: at most so many mm, and so many along the smaller field of view at the least."""

_SAMPLES = (15_000, 30_000)
"""Voxels compared on the coarse and on the fine level of the climb; places compared by `fine` views."""

_CONTENDERS = 3
"""Starts that are climbed from on the first level before one is chosen."""

_MESHES = {2: (16.0, 8.0), 3: (8.0, 4.0)}
"""Between the control points, coarse to fine, in voxels of the search."""

_STIFFNESS = {2: Stiffness(1.0, 1.0), 3: Stiffness(0.3, 0.2)}
"""Chosen on the phantom (3-D) and on training slices (2-D), which tell less for each control point."""

_STIFFER = 10.0
"""If space folded, the deformation is sought once more, so many times as stiff."""


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
        reference: the volume to whose grid the other will be brought.
        moving: the other.
        kind: "rigid" (6 numbers), "affine" (12) or "deformable" (rigid, then B-splines).
        start: a linear pose to climb from instead of searching.
        seed: of the sampling; the same input and seed give the same pose.
        mask: (K, J, I) bool on the reference's grid, the voxels to compare.
        progress: called with (fraction 0..1, message); whatever it raises, such as `Cancelled`, stops the optimizer
            and comes out of here.

    Raises:
        ParameterError: if there is no such kind.
        GeometryError: one slice against a volume, slices of different planes, sizes in different units, a mask of
            another shape, a start that is not linear.
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
    views, fine = Views(pair, mm, seed=seed), Views(pair, levels[0].mm, points=_SAMPLES[0], seed=seed)
    require_one_unit(reference, moving, views)
    given = np.eye(frames.dimension + 1) if start is None else _lowered(start, frames)
    starts, tried = _starts(views, None if start is None else given, kind, watch)
    if not starts:
        nothing_shared(reference, moving)
    matrix, back = _linear(pair, fine, starts, kind, levels, seed, watch)
    pose = Pose.from_matrix(frames.lifted(matrix))
    before, after = fine.compared(given), fine.compared(matrix)
    refuse_worse(reference, moving, before, after)
    if kind == DEFORMABLE:
        pose, bent = _bent(pair, fine, matrix, mm, levels, (reference.grid, moving.grid), watch)
        refuse_worse(reference, moving, after, bent)
        after = bent
    overlap, displacement_mm, bend_mm, folding = movement(pose, reference.grid, moving.grid)
    inverse = fine.apart(matrix, back)
    notes = [*doubts(reference, moving, views, frames, matrix, starts, bool(before[1]), inverse, levels[-1].mm)]
    if folding:
        notes.append(f"Space folds in {folding:.2%} of the field of view: trust affine more there")
    quality = Quality(
        nmi_before=before[0] if before[1] else None,
        nmi_after=after[0],
        overlap=overlap,
        inverse_mm=inverse,
        displacement_mm=displacement_mm,
        bend_mm=bend_mm,
        folding=folding,
        seconds=perf_counter() - begun,
        iterations=watch.iterations,
        starts=tried,
        notes=tuple(notes),
    )
    watch.part(0, 1)
    watch.tell(1.0, "Registered")
    return Registration(pose, kind, quality)


def _starts(views: Views, given: np.ndarray | None, kind: str, watch: Watch) -> tuple[list[Start], int]:
    """Where to climb from, the best first, and how many poses were refined for it."""
    watch.part(0.02, 0.25)
    if given is None:
        return search(views, lambda share: watch.tell(share, "Searching for the patient"))
    if kind != AFFINE:
        given = given.copy()
        given[:-1, :-1] = nearest_rotation(given[:-1, :-1])
    return [Start(given, views.score(given), GIVEN)], 1


def _resolutions(reference: Grid, moving: Grid, dimension: int) -> tuple[float, list[Level]]:
    """Edge of the search's voxels, and the levels of the climb down to the coarser image's own voxels."""
    edges, extents = [], []
    for grid in (reference, moving):
        steps, counts = np.array(grid.spacing[:dimension]), np.array(grid.shape[::-1][:dimension])
        edges.append(float(steps.prod() ** (1 / dimension)))
        extents.append(float((steps * counts).prod() ** (1 / dimension)))
    mm = max(min(_COARSEST, min(extents) / _FEWEST[dimension]), *edges)
    finest = max(*edges, mm / 4)
    levels = [Level(finest, _SAMPLES[1])]
    # A first level that is hardly coarser would only take time.
    return mm, [Level(mm / 2, _SAMPLES[0]), *levels] if finest < 0.75 * mm / 2 else levels


def _lowered(start: Pose, frames: Frames) -> np.ndarray:
    if start.matrix is None:
        raise GeometryError(
            "Start of the registration", found="a deformable pose", accepted="a linear one", fix="Leave it out"
        )
    return frames.lowered(start.matrix)


def _linear(
    pair: Pair, fine: Views, starts: list[Start], kind: str, levels: list[Level], seed: int, watch: Watch
) -> tuple[np.ndarray, np.ndarray]:
    """The best rigid or affine pose, and the inverse of the one found with the roles exchanged."""
    searched, end = 0.25, 0.5 if kind == DEFORMABLE else 0.95
    contest, refined = searched + 0.4 * (end - searched), searched + 0.85 * (end - searched)
    watch.part(searched, contest)
    matrix = _contest(pair, fine, starts, levels[:1], seed, watch)
    watch.part(contest, refined)
    steps = [(RIGID, levels[1:] or levels), *([(AFFINE, levels)] if kind == AFFINE else [])]
    for step, of_step in steps:
        # Mattes' metric looks at a fixed part of the overlap; where that misleads it, what was reached stays.
        matrix = max(climb(pair, matrix, step, of_step, seed, watch), matrix, key=fine.score)
    watch.part(refined, end)
    last = AFFINE if kind == AFFINE else RIGID
    back = climb(pair.swapped, np.linalg.inv(matrix), last, levels[-1:], seed + 1, watch)
    return matrix, np.linalg.inv(back)


def _contest(pair: Pair, fine: Views, starts: list[Start], levels: list[Level], seed: int, watch: Watch) -> np.ndarray:
    """What scores best after one level of climbing from each of the best starts."""
    contenders = starts[:_CONTENDERS]
    begin, length = watch.start, (watch.stop - watch.start) / len(contenders)
    reached = [contenders[0].matrix]
    for number, each in enumerate(contenders):
        watch.part(begin + number * length, begin + (number + 1) * length)
        reached.append(climb(pair, each.matrix, RIGID, levels, seed, watch))
    return max(reached, key=fine.score)


def _bent(
    pair: Pair,
    fine: Views,
    matrix: np.ndarray,
    mm: float,
    levels: list[Level],
    grids: tuple[Grid, Grid],
    watch: Watch,
) -> tuple[Pose, tuple[float, float]]:
    """The deformable pose, and what is shared there on how much overlap."""
    import SimpleITK as sitk

    d, frames = pair.frames.dimension, pair.frames
    meshes = [Mesh(share * mm, levels[0].mm) for share in _MESHES[d]]
    stiffness, linear = _STIFFNESS[d], Pose.from_matrix(frames.lifted(matrix)).transform
    for attempt in range(2):
        watch.part(0.5 + 0.3 * attempt, 0.8 + 0.15 * attempt)
        lattice, coefficients = bend(pair, matrix, meshes, stiffness, watch)
        spline = lattice.transform(coefficients, frames.reference)
        pose = Pose(sitk.CompositeTransform([linear, spline]))
        if not movement(pose, *grids)[3]:
            break
        stiffness = Stiffness(_STIFFER * stiffness.bending, _STIFFER * stiffness.stretching)
    return pose, fine.compared(matrix, frames.warped(spline, fine.points))


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
