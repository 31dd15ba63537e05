"""Where to begin: a search over turns and shifts on coarse images.

Gradients lead to the nearest optimum only. Here whole poses are compared, each in about a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from MedFusionLib.registration.views import Views

_ANGLES = (-24.0, -12.0, 0.0, 12.0, 24.0)
"""Degrees about each axis that are tried in all combinations."""

_KEPT = 8
"""Poses of that grid that are refined."""

_STEPS = ((12.0, 6.0), (6.0, 3.0), (3.0, 1.5), (1.5, 0.75))
"""(mm, degrees) of the refinement, coarse to fine, for voxels of `_VOXEL` mm."""

_VOXEL = 8.0
_MOST_ROUNDS = 8

GIVEN = "given"


@dataclass(frozen=True)
class Start:
    """One pose that the search came to.

    Args:
        matrix: (D + 1, D + 1) in the frame, reference -> moving.
        score: shared information times overlap there.
        origin: what it grew from: the position that was given, boxes put on boxes, or objects on objects.
    """

    matrix: np.ndarray
    score: float
    origin: str


def search(views: Views, tell: Callable[[float], None]) -> tuple[list[Start], int]:
    """The poses worth climbing from, the best first, no two alike; and how many were refined.

    The given position, one that puts field of view on field of view and one that puts object on object are each
    turned by all combinations of `_ANGLES`; the best are refined with shrinking steps.

    Args:
        views: the images.
        tell: told the share of the work that is done.
    """
    d, center = views.dimension, views.objects[0][0]
    shifts = {
        GIVEN: np.zeros(d),
        "geometry": views.boxes[1] - views.boxes[0],
        "moments": views.objects[1][0] - center,
    }
    turns = list(product(_ANGLES, repeat=1 if d == 2 else 3))
    tried = [(np.r_[turn, shift], origin) for origin, shift in shifts.items() for turn in turns]
    scores = []
    for number, (pose, _) in enumerate(tried):
        scores.append(views.score(turned(pose, center)))
        if number % 50 == 0:
            tell(0.3 * number / len(tried))
    best = np.argsort(scores, kind="stable")[::-1][:_KEPT].tolist()
    # Without a turn is nearly always nearly right: these are refined in any case.
    upright = [n for n, (pose, _) in enumerate(tried) if not pose[:-d].any()]
    chosen = list(dict.fromkeys([*upright, *best]))
    found = []
    for number, n in enumerate(chosen):
        tell(0.3 + 0.7 * number / len(chosen))
        pose, score = climbed(views, center, tried[n][0], scores[n])
        found.append(Start(turned(pose, center), score, tried[n][1]))
    return _distinct(sorted(found, key=lambda each: -each.score), views, 2 * views.mm), len(chosen)


def turned(pose: np.ndarray, center: np.ndarray) -> np.ndarray:
    """(D + 1, D + 1) of a pose (degrees, then mm): turn about a point, then shift."""
    from scipy.spatial.transform import Rotation

    d = len(center)
    angles = np.r_[0, 0, pose[:-d]] if d == 2 else pose[:-d]
    matrix = np.eye(d + 1)
    matrix[:-1, :-1] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()[:d, :d]
    matrix[:-1, -1] = center - matrix[:-1, :-1] @ center + pose[-d:]
    return matrix


def climbed(
    views: Views,
    center: np.ndarray,
    pose: np.ndarray,
    score: float,
    first: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Climb from a pose (degrees, then mm) with shrinking steps along its parameters: (pose, score).

    Args:
        views: the images.
        center: (D,) of the turns.
        pose: where to begin.
        score: there.
        first: (D + 1, D + 1) applied to the reference's points before the pose, for example a mirror.
    """
    d, before_all = len(center), np.eye(len(center) + 1) if first is None else first
    for mm, degrees in _STEPS:
        steps = np.diag([degrees] * (len(pose) - d) + [mm * views.mm / _VOXEL] * d)
        for _ in range(_MOST_ROUNDS):
            before = score
            for step in (*steps, *-steps):
                value = views.score(turned(pose + step, center) @ before_all)
                if value > score:
                    pose, score = pose + step, value
            if score <= before:
                break
    return pose, score


def mirrored_score(views: Views, matrix: np.ndarray, axis: np.ndarray) -> float:
    """The score of the best pose near by if the reference were mirrored across a plane through its object.

    Args:
        views: the images.
        matrix: (D + 1, D + 1) the pose found.
        axis: (D,) unit vector across the plane: the patient's left-right.
    """
    center = views.objects[0][0]
    d, mirror = len(center), np.eye(len(center) + 1)
    mirror[:-1, :-1] -= 2 * np.outer(axis, axis)
    mirror[:-1, -1] = 2 * axis * (axis @ center)
    still = np.zeros(3 * d - 3)
    before = matrix @ mirror
    there = (matrix @ np.r_[center, 1])[:-1]
    return climbed(views, there, still, views.score(before), before)[1]


def _distinct(found: list[Start], views: Views, near: float) -> list[Start]:
    """Without those that put the object within `near` mm of where a better one puts it."""
    kept: list[Start] = []
    for each in found:
        if each.score > 0 and all(views.apart(each.matrix, other.matrix) > near for other in kept):
            kept.append(each)
    return kept
