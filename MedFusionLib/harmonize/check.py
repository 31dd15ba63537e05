"""Do the volumes belong together? No overlap is an error; a pose that looks wrong is told."""

from __future__ import annotations

import numpy as np

from MedFusionLib.errors import NoOverlapError
from MedFusionLib.volume import Volume

_SIDE = 64
"""Voxels a side of the coarse images that are compared."""

_BINS = 32
_STEPS = (-2, -1, 1, 2)
_MOST_STEPS = 12
_GAIN = 1.35
"""A shift that makes the shared information this many times larger says "not registered".

Calibrated on 32 registered pairs (seven CT/MR/PET patients, head templates, a SPECT phantom): these gain at most 1.32,
moved by 15 mm nine in ten gain more than this (docs/decisions/0002-alignment-check.md).
"""

_LEAST = 0.01
"""Differences of shared information below this are chance."""


def require_overlap(reference: Volume, moving: Volume, field: np.ndarray) -> None:
    """See that a volume shares space with the reference.

    Args:
        reference: the volume whose grid counts.
        moving: the other.
        field: (K, J, I) bool, where the other has data on the reference's grid.

    Raises:
        NoOverlapError: with the box of each in RAS mm.
    """
    if not field.any():
        raise NoOverlapError(
            f"{moving.label} on the grid of {reference.label}",
            found=f"no common voxel: {_box(moving)} against {_box(reference)} (RAS mm)",
            accepted="volumes that share space",
            fix="Check that both are of one patient and one frame of reference, or register them first",
        )


def _box(volume: Volume) -> str:
    low, high = volume.grid.corners.min(0), volume.grid.corners.max(0)
    return ", ".join(f"{axis} {a:.0f}..{b:.0f}" for axis, a, b in zip("RAS", low, high, strict=True))


def misalignment(
    reference: np.ndarray, moving: np.ndarray, domain: np.ndarray, spacing: tuple[float, ...]
) -> tuple[float, float] | None:
    """How far a small shift would bring two images closer, if it would bring them much closer.

    Compares normalized mutual information, (H(a) + H(b)) / H(a, b) - 1 (Studholme, Hill, Hawkes 1999,
    doi 10.1016/S0031-3203(98)00091-0), at the given pose with the best shift that climbing from there finds.

    Args:
        reference: (K, J, I) in [0, 1].
        moving: the other, on the same grid.
        domain: (K, J, I) bool, where both have data.
        spacing: millimeters along (i, j, k).

    Returns:
        (length of that shift in mm, shared information there over that at the given pose), or None if all looks well.
    """
    factors = tuple(max(1, round(n / _SIDE)) for n in reference.shape)
    a, b, inside = (_coarse(image, factors) for image in (reference, moving, domain))
    here = best = _shared(a, b, inside > 0.5, (0, 0, 0))
    at: tuple[int, ...] = (0, 0, 0)
    for _ in range(_MOST_STEPS):
        found = {shift: _shared(a, b, inside > 0.5, shift) for shift in _around(at, a.shape)}
        top = max(found, key=lambda shift: found[shift], default=at)
        if not found or found[top] <= best:
            break
        best, at = found[top], top
    if best < _GAIN * max(here, 0) or best - here < _LEAST:
        return None
    moved = np.array(at)[::-1] * factors[::-1] * spacing
    return float(np.linalg.norm(moved)), best / max(here, 1e-3)


def _around(at: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shifts one or two steps on along one axis, up to a quarter of the image."""
    shifts = [tuple(n + step * (axis == a) for a, n in enumerate(at)) for axis in range(3) for step in _STEPS]
    return [shift for shift in shifts if all(abs(s) <= n // 4 for s, n in zip(shift, shape, strict=True))]


def _coarse(image: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """Means over blocks."""
    cropped = image[tuple(slice(n // f * f) for n, f in zip(image.shape, factors, strict=True))]
    blocks = [part for n, f in zip(cropped.shape, factors, strict=True) for part in (n // f, f)]
    return cropped.reshape(blocks).mean((1, 3, 5), dtype=np.float32)


def _shared(a: np.ndarray, b: np.ndarray, inside: np.ndarray, shift: tuple[int, ...]) -> float:
    """Normalized mutual information - 1 of a and the shifted b, over the voxels that both have."""
    here = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(shift, a.shape, strict=True))
    there = tuple(slice(max(0, -s), n + min(0, -s)) for s, n in zip(shift, a.shape, strict=True))
    both = inside[here] & inside[there]
    return shared_information(a[here][both], b[there][both], _BINS)


def shared_information(a: np.ndarray, b: np.ndarray, bins: int) -> float:
    """Normalized mutual information - 1 of two (N,) samples in [0, 1]: 0 if independent, 1 if one tells the other."""
    levels = [np.minimum((image * bins).astype(np.intp), bins - 1) for image in (a, b)]
    joint = np.bincount(levels[0] * bins + levels[1], minlength=bins**2).reshape(bins, bins).astype(float)
    if joint.sum() == 0:
        return 0.0
    joint /= joint.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    together = _entropy(joint)
    # What independent images of this few voxels seem to share (Miller, Madow): without it noise looks informed.
    chance = ((rows > 0).sum() - 1) * ((columns > 0).sum() - 1) / (2 * len(a))
    return (_entropy(rows) + _entropy(columns) - together - chance) / together if together > 0 else 0.0


def _entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())
