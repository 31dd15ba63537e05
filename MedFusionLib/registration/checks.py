"""Whether two images can be registered at all, and whether what was found can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

import numpy as np

from MedFusionLib.errors import GeometryError, RegistrationError
from MedFusionLib.registration.frames import Frames
from MedFusionLib.registration.starts import Start, mirrored_score
from MedFusionLib.registration.views import Views
from MedFusionLib.volume import Volume

_WORSE = 0.98
"""A score below this share of what it was has become worse; less is the noise of sampling."""

_CLOSE = 0.95
"""A second pose this near in score makes the first one doubtful."""

_INCONSISTENT = 2.0
"""Voxels between the two ways round from which the optimum is no clear one."""

_STRETCHED = 1.15
"""No head changes its size so much between scanners; an edge of brain that is drawn to the skin does."""

_MIRRORED = 1.1
"""A mirrored reference that scores this many times better is told: heads are nearly symmetric, images noisy."""

_UNEQUAL = 5.0
"""Objects that differ this many times in size along every axis are not in one unit."""

_ACROSS = 0.7
"""Least share of left-right that must lie in a plane for a mirrored slice to show."""


def require_one_unit(reference: Volume, moving: Volume, views: Views) -> None:
    """See that both objects are of a size.

    Raises:
        GeometryError: if one is many times the other along every axis: centimeters were taken for millimeters.
    """
    (_, one), (_, other) = views.objects
    ratios = other / np.maximum(one, 1e-9)
    if ratios.min() > _UNEQUAL or ratios.max() < 1 / _UNEQUAL:
        # A uniform object is some 3.5 times as long as its root mean square extent.
        across = [f"{3.5 * extent.mean():.0f} mm" for extent in (other, one)]
        raise GeometryError(
            f"Registration of {moving.label} to {reference.label}",
            found=f"an object some {across[0]} across and one of {across[1]}",
            accepted="images of one patient in millimeters",
            fix="Check the voxel spacing: one file may be in centimeters or micrometers",
        )


def nothing_shared(reference: Volume, moving: Volume) -> NoReturn:
    """Raise the RegistrationError for images that no pose brings together."""
    raise RegistrationError(
        f"Registration of {moving.label} to {reference.label}",
        found="no pose at which they share anything",
        accepted="two images of one part of one patient",
        fix="Check that they belong together",
    )


def refuse_worse(reference: Volume, moving: Volume, before: tuple[float, float], after: tuple[float, float]) -> None:
    """See that a registration did not make it worse.

    Args:
        reference: the one volume.
        moving: the other.
        before: (shared information, overlap) at the pose given.
        after: at the pose found.

    Raises:
        RegistrationError: with the figures.
    """
    if after[0] * after[1] < _WORSE * before[0] * before[1]:
        figures = " and before ".join(f"{shared:.3f} on {overlap:.0%} overlap" for shared, overlap in (after, before))
        raise RegistrationError(
            f"Registration of {moving.label} to {reference.label}",
            found=f"shared information {figures}",
            accepted="a pose that brings them closer",
            fix="They may be aligned already: fuse without registration, or give a start",
        )


def doubts(
    reference: Volume,
    moving: Volume,
    views: Views,
    frames: Frames,
    matrix: np.ndarray,
    starts: Sequence[Start],
    overlapped: bool,
    inverse_mm: float,
    voxel_mm: float,
) -> Iterator[str]:
    """A sentence for whatever makes the pose doubtful.

    Args:
        reference: the one volume.
        moving: the other.
        views: both in coarse voxels.
        frames: where they are compared.
        matrix: (D + 1, D + 1) the linear pose found.
        starts: what the search came to, the best first.
        overlapped: whether they did so as given.
        inverse_mm: between the pose and the one found the other way round.
        voxel_mm: edge of the coarser image's voxels.
    """
    if not overlapped:
        yield f"{moving.label} shared no space with {reference.label} as given: the search brought them together"
    if len(starts) > 1 and starts[1].score > _CLOSE * starts[0].score:
        far = views.apart(starts[0].matrix, starts[1].matrix)
        yield f"Another pose of {moving.label}, {far:.0f} mm away, fits nearly as well: look at the result"
    if inverse_mm > _INCONSISTENT * voxel_mm:
        yield f"The other way round {moving.label} comes to lie {inverse_mm:.0f} mm away: look at the result"
    stretch = np.abs(np.log(np.linalg.svd(matrix[:-1, :-1], compute_uv=False))).max()
    if stretch > np.log(_STRETCHED):
        yield f"{moving.label} is stretched by {np.expm1(stretch):.0%}: look at the result, or register rigidly"
    left_right = np.linalg.inv(frames.reference)[: frames.dimension, 0]
    if np.linalg.norm(left_right) > _ACROSS:
        mirrored = mirrored_score(views, matrix, left_right / np.linalg.norm(left_right))
        ratio = mirrored / max(views.score(matrix), 1e-9)
        if ratio > _MIRRORED:
            yield f"{moving.label} fits {ratio:.2f} times as well mirrored left to right: check the sides of both"
