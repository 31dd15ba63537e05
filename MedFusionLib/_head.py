"""The anatomy of the phantom: which tissue lies at a point in space (machinery of `phantom`).

Everything is an ellipsoid in RAS mm; the cortex is folded along a sum of waves. Origin: between the thalami.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from MedFusionLib import volume

MODALITIES = tuple(name for name in volume.MODALITIES if name != "OTHER")

# fmt: off
_TISSUES = (
    "background", "skin", "fat", "muscle", "bone", "marrow", "csf", "gray", "white", "ventricle", "caudate", "putamen",
    "thalamus", "eye", "lens", "sinus",
)
# fmt: on
LABELS = {name: value for value, name in enumerate([*_TISSUES, *(f"lesion_{modality}" for modality in MODALITIES)])}
"""Tissue -> value in `head_labels`. `marrow` is the skull's spongy middle, `sinus` air inside the head; deep nuclei
have their own names, cerebellum and brainstem are `gray` and `white`; `ventricle` is the CSF of all four ventricles."""


class Part(NamedTuple):
    """An ellipsoid of one tissue, mirrored to the left where its center is off the midline.

    Args:
        tissue: name in `LABELS`.
        center: mm (R, A, S).
        radii: mm along (R, A, S).
        turn: degrees about S; positive moves the front end outwards.
    """

    tissue: str
    center: tuple[float, float, float]
    radii: tuple[float, float, float]
    turn: float = 0.0


_CRANIUM = Part("csf", (0, 0, 0), (66, 84, 62))
_FOSSA = Part("csf", (0, -45, -35), (47, 37, 29))
_FACE = Part("muscle", (0, 42, -75), (60, 52, 75))
_NOSE = Part("skin", (0, 92, -64), (9, 17, 19))
_NECK = Part("muscle", (0, -20, -120), (58, 64, 90))
_EAR = Part("skin", (61, -19, -38), (4, 14, 25), -28)
_ORBIT = Part("bone", (29, 48, -38), (20, 31, 19), 12)
_SELLA = Part("bone", (0, 26, -47), (17, 17, 12))
_PETROUS = Part("bone", (40, -14, -45), (25, 8, 9), 35)
_INSULA = Part("csf", (43, 5, -8), (1.8, 20, 14), -6)
_SYLVIAN = Part("csf", (55, 10, -12), (14, 15, 1.8))
_CALLOSUM = Part("white", (0, -4, -4), (11, 44, 23))
_HEMISPHERE = Part("white", (21, -47, -35), (25, 31, 25))
_VERMIS = Part("white", (0, -49, -33), (12, 29, 24))

_DEEP = (
    _CALLOSUM,
    _INSULA,
    _SYLVIAN,
    Part("csf", (0, 12, -27), (14, 14, 8)),
    Part("csf", (0, -30, -12), (10, 5, 6)),
    Part("white", (12, -10, -14), (11, 13, 12)),
    Part("white", (24, 0, -4), (9, 26, 18)),
    Part("ventricle", (8, 27, 2), (4, 14, 7), 20),
    Part("ventricle", (6.5, 4, 9), (5.8, 27, 5)),
    Part("ventricle", (16, -25, 2), (5.5, 14, 8), -28),
    Part("ventricle", (23, -43, -2), (3, 12, 4), -10),
    Part("ventricle", (33, -8, -24), (3, 16, 3.5), -10),
    Part("caudate", (14.5, 21, 2), (4.5, 10, 8), 15),
    Part("caudate", (16, 0, 9), (2.5, 18, 3), -6),
    Part("putamen", (27, 5, -5), (5.5, 16, 10), -14),
    Part("thalamus", (10.5, -9, -3), (8.5, 14, 9), -18),
    Part("ventricle", (0, -4, -8), (2, 13, 10)),
)
_STEM = (
    Part("csf", (0, -9, -30), (20, 14, 22)),
    Part("white", (0, -13, -15), (15, 10, 10)),
    Part("white", (0, -9, -31), (15, 12, 14)),
    Part("white", (0, -17, -54), (8, 7.5, 24)),
    Part("ventricle", (0, -25, -34), (6, 5, 9)),
)
_BONES = (
    Part("bone", (0, 4, -60), (12, 8, 16)),
    _SELLA,
    Part("sinus", (0, 27, -47), (11, 12, 8)),
    _PETROUS,
    Part("bone", (59, -30, -54), (12, 16, 18)),
    Part("sinus", (66, -14, -46), (16, 3, 3)),
    Part("bone", (11, 82, -12), (12, 7, 11)),
    Part("sinus", (9, 83, -12), (8, 4, 8)),
    Part("bone", (50, 32, -64), (3, 26, 4), -12),
    Part("bone", (40, 14, -88), (4, 14, 28)),
    Part("bone", (31, 50, -72), (18, 19, 18)),
    Part("sinus", (31, 50, -72), (16, 17, 16)),
    Part("bone", (0, 62, -66), (13.5, 25, 21)),
    Part("sinus", (0, 62, -66), (12, 24, 19.5)),
    Part("muscle", (6.5, 60, -75), (3.5, 20, 7)),
    Part("muscle", (6, 58, -61), (3, 17, 5)),
    Part("bone", (0, 61, -66), (0.8, 23, 19)),
    _ORBIT,
    Part("fat", (30, 51, -38), (17.5, 31, 16.5), 12),
    Part("muscle", (23, 46, -38), (2.2, 22, 2.2), 18),
    Part("muscle", (17, 50, -38), (1.6, 18, 5), 8),
    Part("muscle", (37, 50, -38), (1.6, 18, 5), 28),
    Part("eye", (31, 66, -37), (12, 12, 12)),
    Part("lens", (31, 75.5, -37), (4.5, 2, 4.5)),
    Part("sinus", (0, 22, -84), (15, 8, 20)),
    Part("bone", (0, -18, -84), (25, 21, 9)),
    Part("csf", (0, -20, -84), (11, 10, 28)),
    Part("bone", (0, -5, -82), (5, 5, 14)),
    Part("white", (0, -20, -90), (6, 5.5, 40)),
)
_LESIONS = (
    Part("lesion_CT", (-26, 42, 2), (3, 3, 3)),
    Part("lesion_MR", (26, 40, 2), (5, 5, 5)),
    Part("lesion_PET", (34, -40, 2), (6, 6, 6)),
    Part("lesion_SPECT", (-34, -40, 2), (6.5, 6.5, 6.5)),
)
_POCKETS = [Part("white", part.center, (part.radii[0] + 7,) * 3) for part in _LESIONS]
"""Where no cleft enters: each lesion lies in white matter alone, 3 mm of it all around."""

_SKULL_MM, _SCALP_MM, _SKIN_MM, _CORTEX_MM = 7.0, 6.0, 2.0, 3.0
_TAPER_PER_MM = 0.0014
"""How much narrower the head is for each mm to the front."""


def _local(points: np.ndarray, part: Part) -> np.ndarray:
    """(3, N) points in units of the part's radii, along its axes."""
    cos, sin = np.cos(np.deg2rad(part.turn)), np.sin(np.deg2rad(part.turn))
    frame = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) / np.array(part.radii)[:, None]
    local = frame.astype(np.float32) @ points
    local -= (frame @ part.center).astype(np.float32)[:, None]
    return local


def _distance(points: np.ndarray, part: Part) -> np.ndarray:
    """(N,) mm from the part's surface, negative inside; first order, good near the surface."""
    squares = _local(points, part) ** 2
    norm, slope = np.sqrt(np.array([np.ones(3), np.array(part.radii) ** -2.0], np.float32) @ squares)
    return norm * (norm - 1) / (slope + np.float32(1e-6))


def _paint(labels: np.ndarray, points: np.ndarray, parts: Sequence[Part]) -> None:
    for part in parts:
        local = _local(points, part)
        labels[np.einsum("cn,cn->n", local, local) < 1] = LABELS[part.tissue]


def _joined(a: np.ndarray, b: np.ndarray, width: float = 14.0) -> np.ndarray:
    """Union of two distances with a rounded seam of this width in mm."""
    return np.minimum(a, b) - np.maximum(width - np.abs(a - b), 0) ** 2 / np.float32(4 * width)


def tissues(points: np.ndarray) -> np.ndarray:
    """(3, N) float32 RAS mm -> (N,) uint8 labels."""
    labels = np.zeros(points.shape[1], np.uint8)
    points = np.stack([points[0] / (1 - np.float32(_TAPER_PER_MM) * points[1]), *points[1:]])
    half = np.stack([np.abs(points[0]), *points[1:]])
    case = np.minimum(_vault(half), _distance(half, _FOSSA))
    skin = _joined(_joined(case - (_SKULL_MM + _SCALP_MM), _distance(half, _FACE)), _distance(half, _NECK))
    skin = np.minimum(_joined(skin, _distance(half, _NOSE), width=8.0), _distance(half, _EAR))
    inside = np.flatnonzero(skin < 0)
    labels[inside] = _inside_head(points[:, inside], half[:, inside], case[inside], skin[inside])
    return labels


def _vault(half: np.ndarray) -> np.ndarray:
    """Distance to the inner table of the skull; the base is flatter than the vault."""
    stretched = np.where(half[2] < 0, half[2] * np.float32(1.35), half[2])
    return _distance(np.stack([half[0], half[1], stretched]), _CRANIUM)


def _inside_head(points: np.ndarray, half: np.ndarray, case: np.ndarray, skin: np.ndarray) -> np.ndarray:
    labels = np.full(len(skin), LABELS["muscle"], np.uint8)
    labels[skin > -_SCALP_MM] = LABELS["fat"]
    labels[case < _SKULL_MM] = LABELS["bone"]
    labels[(case > 2) & (case < 5)] = LABELS["marrow"]
    brain = np.flatnonzero(case < 0)
    labels[brain] = _brain(points[:, brain], half[:, brain])
    _paint(labels, half, _BONES)
    labels[skin > -_SKIN_MM] = LABELS["skin"]
    _paint(labels, points, _LESIONS)
    return labels


def _brain(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    labels = np.full(points.shape[1], LABELS["csf"], np.uint8)
    fissure = np.hypot(np.maximum(half[0] - 0.8, 0), np.maximum(-_distance(half, _CALLOSUM), 0))
    depth = np.minimum(-_vault(half) - 2, fissure)
    for part in (_FOSSA, _SELLA, _PETROUS, _ORBIT, _INSULA, _SYLVIAN):
        depth = np.minimum(depth, _distance(half, part) - 1)
    _fold(labels, points, depth, _CRANIUM, wavelength=28.0, sulcus=12.0)
    _paint(labels, half, _DEEP)
    cerebellum = _joined(_distance(half, _HEMISPHERE), _distance(half, _VERMIS), width=4.0)
    _fold(labels, points, -cerebellum, _FOSSA, wavelength=9.0, sulcus=9.0)
    _paint(labels, half, _STEM)
    return labels


def _fold(
    labels: np.ndarray, points: np.ndarray, depth: np.ndarray, center: Part, wavelength: float, sulcus: float
) -> None:
    """Paint white matter under a cortex that follows the surface and clefts of CSF perpendicular to it."""
    labels[depth > 0] = LABELS["white"]
    near = np.flatnonzero((depth > 0) & (depth < sulcus + 2 * _CORTEX_MM))
    depth, points = depth[near], points[:, near]
    beyond = np.maximum(depth - sulcus, 0)
    for part in _POCKETS:
        beyond = np.maximum(beyond, -_distance(points, part))
    cleft = np.hypot(_cleft_distance(points, center, wavelength), beyond) - 0.7
    pia = np.minimum(depth, cleft)
    labels[near[pia < _CORTEX_MM]] = LABELS["gray"]
    labels[near[pia < 0]] = LABELS["csf"]


def _cleft_distance(points: np.ndarray, center: Part, wavelength: float) -> np.ndarray:
    """(N,) mm along the surface to the nearest zero of a sum of waves: a labyrinth like the brain's sulci.

    The waves are taken on the ellipsoid through the center's radii, so that clefts point to its center.
    """
    local = _local(points + 3 * np.sin(np.roll(points, 1, axis=0) / 8), center)
    reach = np.sqrt(np.einsum("cn,cn->n", local, local)) + np.float32(1e-6)
    outward = local / reach
    waves = _wave_vectors() * np.float32(2 * np.pi / wavelength)
    phase = waves @ (outward * np.float32(np.mean(center.radii)))
    phase += np.arange(len(waves), dtype=np.float32)[:, None] ** 2
    height, slope = np.cos(phase).sum(0), waves.T @ np.sin(phase)
    steep = np.einsum("cn,cn->n", slope, slope) - np.einsum("cn,cn->n", slope, outward) ** 2
    return reach * np.abs(height) / np.sqrt(steep + np.float32(1e-6))


def _wave_vectors(count: int = 9) -> np.ndarray:
    """(count, 3) directions spread evenly over the sphere (golden spiral)."""
    height = 1 - (np.arange(count) + 0.5) * 2 / count
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1).astype(np.float32)
