"""The climb to the optimum: SimpleITK's registration framework, Mattes mutual information, coarse to fine.

Mattes, Haynor, Vesselle, Lewellen, Eubank 2003, doi 10.1109/TMI.2003.809072; B-splines: Rueckert et al. 1999,
doi 10.1109/42.796284. The voxels compared are drawn at random with a fixed seed, so a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from MedFusionLib.registration.images import OBJECT, Pair, smooth

RIGID, AFFINE = "rigid", "affine"

_BINS = 32
_MARGIN = 3.0
"""Voxels inside the common field of view: about the way that a climb may go."""

_ITERATIONS = 60
_RELAXATION = 0.6

_STOP_MM = 0.01
"""Steps below this share of a voxel's edge end a level."""


@dataclass(frozen=True)
class Level:
    """One resolution of the climb.

    Args:
        mm: edge of the voxels.
        samples: how many of the reference's are compared.
    """

    mm: float
    samples: int


@dataclass
class Watch:
    """Carries progress out of the optimizer, and the wish to stop into it.

    Args:
        progress: called with (fraction 0..1, message); whatever it raises stops the optimizer and is raised again.
        start, stop: the part of the whole that the present step takes.
        iterations: of the optimizer, so far.
    """

    progress: Callable[[float, str], None] | None = None
    start: float = 0.0
    stop: float = 1.0
    iterations: int = 0
    _raised: BaseException | None = field(default=None, repr=False)

    def part(self, start: float, stop: float) -> None:
        """Enter the next part of the whole."""
        self.start, self.stop = start, stop

    def tell(self, fraction: float, message: str) -> None:
        """Report how much of the present part is done."""
        if self.progress:
            self.progress(self.start + min(1.0, fraction) * (self.stop - self.start), message)

    def execute(self, method: Any, fixed: Any, moving: Any, message: str, expected: int) -> None:
        """Run an ITK registration under watch.

        ITK prints what a Python callback raises and raises its own error: here it is kept, the optimizer is asked to
        stop, and it is raised when the optimizer has returned.
        """
        import SimpleITK as sitk

        self._raised, begun = None, self.iterations

        def each() -> None:
            self.iterations += 1
            if self._raised is None:
                try:
                    self.tell((self.iterations - begun) / expected, message)
                except BaseException as error:
                    self._raised = error
            if self._raised is not None:
                method.StopRegistration()

        method.AddCommand(sitk.sitkIterationEvent, each)
        # Sums over several threads are rounded in any order: with one, a run can be repeated to the last bit.
        threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        try:
            method.Execute(fixed, moving)
        finally:
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            method.RemoveAllCommands()
            if self._raised is not None:
                raise self._raised


def climb(pair: Pair, start: np.ndarray, kind: str, levels: Sequence[Level], seed: int, watch: Watch) -> np.ndarray:
    """Refine a linear pose level by level.

    Args:
        pair: the images.
        start: (D + 1, D + 1) in the frame, reference -> moving.
        kind: "rigid" or "affine".
        levels: coarse to fine.
        seed: of the sampling.
        watch: told of each iteration.

    Returns:
        The (D + 1, D + 1) matrix of the optimum.
    """
    import SimpleITK as sitk

    matrix, (begin, end) = start, (watch.start, watch.stop)
    work = np.cumsum([0.0, *(level.samples for level in levels)])
    for number, level in enumerate(levels):
        watch.part(*(begin + (end - begin) * work[number : number + 2] / work[-1]))
        fixed, moving, method = prepared(pair, matrix, level, seed + number)
        center, radii = _middle(fixed)
        transform = linear(kind, matrix, center)
        method.SetInitialTransform(transform, inPlace=True)
        method.SetOptimizerScales(_scales(kind, radii))
        method.SetOptimizerAsRegularStepGradientDescent(
            level.mm / 2, _STOP_MM * level.mm, _ITERATIONS, _RELAXATION, gradientMagnitudeTolerance=1e-8
        )
        watch.execute(method, fixed, moving, f"Registering at {level.mm:.1f} mm ({kind})", _ITERATIONS // 2)
        matrix = _matrix(sitk.Transform(transform))
    watch.part(begin, end)
    return matrix


def prepared(pair: Pair, matrix: np.ndarray, level: Level, seed: int) -> tuple[Any, Any, Any]:
    """Both images at one resolution, and a registration method that samples what they share at a pose.

    The voxels compared are those that lie well inside both fields of view at the start: if they could change, what
    does not fit would be pushed out of the overlap, and the metric would call that better.
    """
    import SimpleITK as sitk

    d, method = pair.frames.dimension, sitk.ImageRegistrationMethod()
    small = Pair(pair.frames, pair.fixed.coarse(level.mm), pair.moving.coarse(level.mm))
    frames = (pair.frames.reference, pair.frames.moving)
    common = small.common(matrix, _MARGIN * level.mm)
    if small.fixed.mask is not None:
        common &= small.fixed.mask
    counted = replace(small.fixed, mask=common)
    images = [
        replace(image, values=smooth(image.values)).itk(frame, d)
        for image, frame in zip((small.fixed, small.moving), frames, strict=True)
    ]
    method.SetMetricFixedMask(counted.itk_mask(frames[0], d))
    if small.moving.mask is not None:
        method.SetMetricMovingMask(small.moving.itk_mask(frames[1], d))
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, level.samples / max(1, int(common.sum()))), seed + 1)
    method.SetMetricUseFixedImageGradientFilter(False)
    method.SetMetricUseMovingImageGradientFilter(True)
    return images[0], images[1], method


def _middle(fixed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Center of the reference's object in the frame, and the root mean square distances from it along the axes."""
    import SimpleITK as sitk

    values = sitk.GetArrayViewFromImage(fixed)
    index = np.argwhere(values > OBJECT)
    index = index if len(index) > 10 else np.argwhere(np.ones(values.shape, bool))
    index = index[:: max(1, len(index) // 2000), ::-1]
    d = fixed.GetDimension()
    steps = np.reshape(fixed.GetDirection(), (d, d)) * fixed.GetSpacing()
    places = index @ steps.T + fixed.GetOrigin()
    return places.mean(0), np.maximum(places.std(0), min(fixed.GetSpacing()))


def linear(kind: str, matrix: np.ndarray, center: np.ndarray) -> Any:
    import SimpleITK as sitk

    d = len(center)
    transform: Any
    if kind == AFFINE:
        transform = sitk.AffineTransform(d)
    else:
        transform = sitk.Euler3DTransform() if d == 3 else sitk.Euler2DTransform()
    transform.SetCenter(center.tolist())
    # Rotations that went through files or products are off by rounding; ITK takes only exact ones.
    turn = matrix[:-1, :-1] if kind == AFFINE else nearest_rotation(matrix[:-1, :-1])
    transform.SetMatrix(turn.ravel().tolist())
    transform.SetTranslation((matrix[:-1, :-1] @ center + matrix[:-1, -1] - center).tolist())
    return transform


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The rotation closest to a (D, D) matrix."""
    u, _, vt = np.linalg.svd(matrix)
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    return u @ vt


def _scales(kind: str, radii: np.ndarray) -> list[float]:
    """Mean square shift of the object's voxels for a unit of each parameter: in these units the descent is round.

    ITK's own estimate looks at the corners of the image only, which makes turns several times too stiff.
    """
    squares = radii**2
    if kind == AFFINE:
        return [*np.tile(squares, len(radii)), *np.ones(len(radii))]
    if len(radii) == 2:
        return [squares.sum(), 1.0, 1.0]
    return [*(squares.sum() - squares), 1.0, 1.0, 1.0]


def _matrix(transform: Any) -> np.ndarray:
    d = transform.GetDimension()
    ends = np.array([transform.TransformPoint(p) for p in np.vstack([np.zeros(d), np.eye(d)]).tolist()])
    matrix = np.eye(d + 1)
    matrix[:-1, :-1] = (ends[1:] - ends[0]).T
    matrix[:-1, -1] = ends[0]
    return matrix
