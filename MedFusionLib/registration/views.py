"""Two coarse images that any pose can be asked of: how much do they share there?"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from MedFusionLib.harmonize.check import shared_information
from MedFusionLib.registration.frames import frame_affine
from MedFusionLib.registration.images import OBJECT, Pair, flat

_POINTS = 6000
_BINS = 24

_LEAST_OVERLAP = 0.3
"""Share of the smaller object that must lie in the other's field of view: a sliver matches anything."""

_FEWEST = 50


class Views:
    """A reference and a moving image in coarse voxels.

    Args:
        pair: the images.
        mm: edge of the voxels.
        points: places in the reference that are compared, drawn at random.
        seed: of the drawing.
    """

    def __init__(self, pair: Pair, mm: float, *, points: int = _POINTS, seed: int = 0):
        self.dimension, self.mm = pair.frames.dimension, mm
        fixed, moving = pair.fixed.coarse(mm), pair.moving.coarse(mm)
        self.to_fixed = frame_affine(fixed.grid, pair.frames.reference, self.dimension)
        self.to_moving = frame_affine(moving.grid, pair.frames.moving, self.dimension)
        self._from_moving = np.linalg.inv(self.to_moving)
        self.fixed, self.moving = flat(fixed.values, self.dimension), flat(moving.values, self.dimension)
        self._moving_mask = None if moving.mask is None else flat(moving.mask, self.dimension)
        index = np.argwhere(np.ones(self.fixed.shape, bool) if fixed.mask is None else flat(fixed.mask, self.dimension))
        rng = np.random.default_rng(seed)
        if len(index) > points:
            index = index[np.sort(rng.choice(len(index), points, replace=False))]
        # Off the voxel centers: else poses that put voxel on voxel would be favored for their sharpness.
        places = index + rng.uniform(-0.5, 0.5, index.shape) * (np.array(self.fixed.shape) > 1)
        self._values = _sampled(self.fixed, places.T)
        self.points = places[:, ::-1] @ self.to_fixed[:-1, :-1].T + self.to_fixed[:-1, -1]

    def shared(self, matrix: np.ndarray) -> float:
        """Normalized mutual information - 1 at a (D + 1, D + 1) pose; 0 where too little overlaps."""
        return self.compared(matrix)[0]

    def score(self, matrix: np.ndarray) -> float:
        """What poses are ranked by: shared information times overlap.

        Shared information alone grows when what does not fit is pushed out of the field of view.
        """
        shared, overlap = self.compared(matrix)
        return shared * overlap

    def compared(self, matrix: np.ndarray, points: np.ndarray | None = None) -> tuple[float, float]:
        """(normalized mutual information - 1, share of the largest possible overlap).

        Args:
            matrix: (D + 1, D + 1) pose.
            points: where a deformation puts `self.points` before the pose is applied.
        """
        step = self._from_moving @ matrix
        places = ((self.points if points is None else points) @ step[:-1, :-1].T + step[:-1, -1]).T[::-1]
        inside = ((places >= -0.5) & (places <= np.array(self.moving.shape)[:, None] - 0.5)).all(0)
        if self._moving_mask is not None:
            nearest = np.rint(places[:, inside]).astype(np.intp).clip(0)
            nearest = np.minimum(nearest, np.array(self.moving.shape)[:, None] - 1)
            inside[inside] = self._moving_mask[tuple(nearest)]
        count, of_object = inside.sum(), (inside & (self._values > OBJECT)).sum()
        if count < _FEWEST or of_object < self._least:
            return 0.0, 0.0
        shared = shared_information(self._values[inside], _sampled(self.moving, places[:, inside]), _BINS)
        return max(0.0, float(shared)), float(min(1.0, count / (len(inside) * self._most)))

    @cached_property
    def _least(self) -> float:
        """Points of the reference's object that must be seen."""
        sizes = [
            (image > OBJECT).sum() * abs(np.linalg.det(affine[:-1, :-1]))
            for image, affine in ((self.fixed, self.to_fixed), (self.moving, self.to_moving))
        ]
        return _LEAST_OVERLAP * min(1.0, sizes[1] / max(sizes[0], 1e-9)) * (self._values > OBJECT).sum()

    @cached_property
    def _most(self) -> float:
        """Share of the reference's box that the moving one can fill."""
        boxes = [
            image.size * abs(np.linalg.det(affine[:-1, :-1]))
            for image, affine in ((self.fixed, self.to_fixed), (self.moving, self.to_moving))
        ]
        return min(1.0, boxes[1] / boxes[0])

    @cached_property
    def objects(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """(center, root mean square extent along the axes) of each object, (D,) in the frame."""
        return _object(self.fixed, self.to_fixed), _object(self.moving, self.to_moving)

    @cached_property
    def boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """(D,) centers of the two fields of view in the frame."""
        shapes = (self.fixed.shape, self.to_fixed), (self.moving.shape, self.to_moving)
        one, other = ((affine @ np.r_[(np.array(shape)[::-1] - 1) / 2, 1])[:-1] for shape, affine in shapes)
        return one, other

    def apart(self, one: np.ndarray, other: np.ndarray) -> float:
        """Mean distance in mm between where two (D + 1, D + 1) poses put the reference's object."""
        places = self.points[self._values > OBJECT]
        places = places if len(places) else self.points
        change = one - other
        return float(np.linalg.norm(places @ change[:-1, :-1].T + change[:-1, -1], axis=1).mean())


def _object(image: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    index = np.argwhere(image > OBJECT)
    if len(index) < 2:
        index = np.argwhere(np.ones(image.shape, bool))
    places = index[:, ::-1] @ affine[:-1, :-1].T + affine[:-1, -1]
    return places.mean(0), places.std(0)


def _sampled(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    return map_coordinates(image, places, order=1, mode="nearest")
