"""A synthetic head in CT, MR, PET and SPECT with known truth: what the demo and the tests fuse.

The head is a set of ellipsoids in RAS mm with a folded cortex, evaluated at the place of every voxel: each grid,
also an oblique one, samples the same head. Four lesions in the white matter near S = 0 show in one modality each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from MedFusionLib._head import LABELS, MODALITIES, tissues
from MedFusionLib.errors import GeometryError, ModalityError, ParameterError
from MedFusionLib.volume import Grid, Volume, modality_named


def _gaussian(image: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    return image + scale * rng.standard_normal(image.shape, np.float32)


def _rician(image: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    return np.hypot(_gaussian(image, scale, rng), scale * rng.standard_normal(image.shape, np.float32))


def _poisson(image: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """The variance is scale² times the value."""
    return rng.poisson(image / scale**2) * np.float32(scale**2)


@dataclass(frozen=True)
class Physics:
    """How one modality sees the head.

    Args:
        unit: of its values.
        shape: default grid (K, J, I).
        spacing: default mm along (i, j, k).
        fwhm: mm, of the point spread.
        filtered: share of the point spread that comes after the noise (a reconstruction filter).
        add_noise: `(image, scale, rng) -> image`.
        scale: of the noise, for `add_noise`.
        bias: half amplitude of the smooth shading, as a share.
        values: one a label up to `sinus`, in the order of `LABELS`.
        lesion: value of its own lesion.
    """

    unit: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    fwhm: float
    filtered: float
    add_noise: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
    scale: float
    bias: float
    values: tuple[float, ...]
    lesion: float

    def table(self, modality: str) -> np.ndarray:
        """(20,) value of each label; the lesions of other modalities look like white matter."""
        table = np.full(len(LABELS), self.values[LABELS["white"]], np.float32)
        table[: len(self.values)] = self.values
        table[LABELS[f"lesion_{modality}"]] = self.lesion
        return table


# fmt: off
PHYSICS = {  # values: air skin fat muscle bone marrow csf gray white ventricle caudate putamen thalamus eye lens sinus
    "CT": Physics("HU", (90, 240, 200), (1, 1, 2), 0.8, 0.5, _gaussian, 7.0, 0.0,
        (-1000, 45, -90, 55, 1300, 550, 8, 37, 28, 8, 38, 38, 37, 12, 90, -1000), 450),
    "MR": Physics("a.u.", (128, 160, 128), (1.5, 1.5, 1.5), 1.0, 0.0, _rician, 16.0, 0.08,
        (0, 420, 900, 380, 60, 560, 150, 480, 700, 140, 500, 530, 580, 160, 380, 0), 980),
    "PET": Physics("SUV", (64, 84, 70), (3, 3, 3), 6.0, 0.5, _poisson, 0.5, 0.0,
        (0, 0.6, 0.3, 1, 0.4, 0.9, 0.4, 8, 2, 0.3, 8.5, 9, 8, 0.8, 0.5, 0), 14),
    "SPECT": Physics("counts", (48, 64, 64), (4, 4, 4), 10.0, 0.5, _poisson, 1.5, 0.0,
        (0, 18, 10, 16, 8, 12, 4, 100, 30, 4, 105, 108, 102, 8, 6, 0), 260),
}
# fmt: on


_MOST_POINTS = 64
"""A voxel's mean is taken over so many points at most, which bounds the time on very coarse grids."""


def head_phantom(
    modality: str,
    *,
    shape: Sequence[int] | None = None,
    spacing: Sequence[float] | None = None,
    offset: Sequence[float] | None = None,
    noise: float = 1.0,
    blur: bool = True,
    seed: int = 0,
    grid: Grid | None = None,
) -> Volume:
    """The head as one modality sees it, (K, J, I) float32 in HU, a.u. (MR, 0 to 1000), SUV or counts.

    Shape or spacing alone keep the modality's field of view; a single slice (K = 1) keeps its thickness. Such grids
    are axial, centered on the head's origin, with i to the left, j to the back and k up, as in DICOM.

    Args:
        modality: one of `MODALITIES` or a synonym.
        shape: voxels (K, J, I).
        spacing: mm along (i, j, k).
        offset: how the patient moved, see `offset_matrix`.
        noise: scale of the noise and of MR's shading; 1 is realistic, 0 is none.
        blur: whether the point spread of the scanner is applied.
        seed: of the noise.
        grid: sample here instead of shape and spacing.

    Raises:
        ModalityError: if there is no phantom of this modality.
        GeometryError: if shape, spacing or grid do not describe one grid.
        ParameterError: if offset, noise or seed cannot be used.
    """
    name = modality_named(modality)
    if name not in PHYSICS:
        raise ModalityError("Phantom", found=repr(modality), accepted=", ".join(MODALITIES))
    if not (np.isfinite(noise) and noise >= 0):
        raise ParameterError("Noise of the phantom", found=noise, accepted="a finite number, 0 or more")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ParameterError("Seed of the phantom", found=repr(seed), accepted="an integer, 0 or more")
    if grid is not None and (shape is not None or spacing is not None):
        raise GeometryError(
            "Phantom grid", found="both a grid and shape or spacing", accepted="one of them", fix="Leave the other out"
        )
    physics = PHYSICS[name]
    grid = grid or _axial_grid(physics, shape, spacing)
    rng = np.random.default_rng((MODALITIES.index(name), int(seed)))
    image = _sampled(_at_rest(grid, offset), physics.table(name), finest=max(1.0, physics.fwhm / 4))
    image = _shaded(image, grid, physics.bias * noise)
    if blur:
        image = _blurred(image, grid, physics.fwhm * (1 - physics.filtered) ** 0.5)
    if noise:
        image = physics.add_noise(image, physics.scale * noise, rng)
    if blur and physics.filtered:
        image = _blurred(image, grid, physics.fwhm * physics.filtered**0.5)
    return Volume(image, grid, name, f"phantom {name}", physics.unit)


def head_labels(grid: Grid, offset: Sequence[float] | None = None) -> np.ndarray:
    """The tissue at each voxel center, (K, J, I) uint8 with the values of `LABELS`.

    Raises:
        ParameterError: if the offset cannot be used.
    """
    at_rest = _at_rest(grid, offset)
    labels = np.empty(grid.shape, np.uint8)
    for slab in _slabs(grid.shape):
        labels[slab] = tissues(_places(at_rest, slab)).reshape(-1, *grid.shape[1:])
    return labels


def offset_matrix(offset: Sequence[float] | None) -> np.ndarray:
    """(4, 4) rigid move of the patient, RAS mm -> RAS mm: a point p of the resting head comes to lie at M p.

    Args:
        offset: degrees about R, A and S (right-handed, about the RAS origin, R first, S last), then mm along R, A, S.

    Raises:
        ParameterError: if it is not six finite numbers.
    """
    from scipy.spatial.transform import Rotation

    six = np.zeros(6) if offset is None else np.asarray(offset, np.float64)
    if six.shape != (6,) or not np.isfinite(six).all():
        raise ParameterError(
            "Offset of the phantom",
            found=offset,
            accepted="6 finite numbers: degrees about R, A, S, then mm along them",
        )
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", six[:3], degrees=True).as_matrix()
    matrix[:3, 3] = six[3:]
    return matrix


def _axial_grid(physics: Physics, shape: Sequence[int] | None, spacing: Sequence[float] | None) -> Grid:
    steps = np.asarray(physics.spacing if spacing is None else spacing, float)
    if steps.shape != (3,) or not np.isfinite(steps).all() or steps.min() <= 0:
        raise GeometryError("Phantom spacing (i, j, k) mm", found=spacing, accepted="three finite positive numbers")
    extent = np.multiply(physics.shape[::-1], physics.spacing)
    if shape is None:
        counts = np.maximum(1, np.rint(extent / steps)).astype(int)
    else:
        counts = np.array(shape, int)[::-1]
        if counts.shape != (3,) or counts.min() < 1:
            raise GeometryError("Phantom shape (K, J, I)", found=shape, accepted="three positive integers")
        if spacing is None:
            steps = np.where(counts > 1, extent / counts, steps)
    affine = np.diag([-steps[0], -steps[1], steps[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (counts - 1) / 2
    return Grid((int(counts[2]), int(counts[1]), int(counts[0])), affine)


def _at_rest(grid: Grid, offset: Sequence[float] | None) -> Grid:
    """The same voxels seen from the head: where the patient moved by M, the grid moves by its inverse."""
    return Grid(grid.shape, np.linalg.inv(offset_matrix(offset)) @ grid.affine)


def _slabs(shape: tuple[int, int, int]) -> Iterator[slice]:
    """Slices of K of some 250 000 voxels: the temporaries stay in the processor's cache."""
    step = max(1, 250_000 // (shape[1] * shape[2]))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def _places(grid: Grid, slab: slice, shift: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0)) -> np.ndarray:
    """(3, N) RAS mm of a slab's voxels, shifted by a share (i, j, k) of a voxel."""
    k, j, i = np.ogrid[slab.start : min(slab.stop, grid.shape[0]), : grid.shape[1], : grid.shape[2]]
    to_ras = grid.affine
    axes = [
        (to_ras[r, 0] * (i + shift[0]) + to_ras[r, 3]).astype(np.float32)
        + (to_ras[r, 1] * (j + shift[1])).astype(np.float32)
        + (to_ras[r, 2] * (k + shift[2])).astype(np.float32)
        for r in range(3)
    ]
    return np.stack([axis.ravel() for axis in axes])


def _sampled(grid: Grid, table: np.ndarray, finest: float) -> np.ndarray:
    """Mean value over each voxel, (K, J, I) float32, from one point for each cube of `finest` mm."""
    shifts = _spread(min(_MOST_POINTS, int(np.ceil(np.prod(grid.spacing) / finest**3 - 1e-6))))
    image = np.empty(grid.shape, np.float32)
    for slab in _slabs(grid.shape):
        total = sum(table[tissues(_places(grid, slab, shift))] for shift in shifts)
        image[slab] = (total / np.float32(len(shifts))).reshape(-1, *grid.shape[1:])
    return image


def _spread(count: int) -> np.ndarray:
    """(count, 3) points of the unit voxel around 0; no two share a coordinate, else thin sheets along the axes alias.

    A Kronecker sequence on the root of x⁴ = x + 1, the three-dimensional golden ratio.
    """
    points = np.outer(np.arange(1, count + 1), 1.2207440846 ** -np.arange(1.0, 4)) % 1
    return points - points.mean(0)


def _shaded(image: np.ndarray, grid: Grid, strength: float) -> np.ndarray:
    """MR's smooth shading, fixed in space as the coil is."""
    if strength == 0:
        return image
    r, a, s = (axis.reshape(grid.shape) for axis in _places(grid, slice(0, grid.shape[0])))
    return image * (1 + strength * np.sin(r / 70 + 0.6) * np.cos(a / 90 - 0.4) * np.cos(s / 90))


def _blurred(image: np.ndarray, grid: Grid, fwhm: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma = fwhm / np.sqrt(8 * np.log(2)) / np.asarray(grid.spacing[::-1])
    return gaussian_filter(image, sigma, mode="nearest")
