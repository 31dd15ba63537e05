"""Values of a volume on another grid, each voxel interpolated once.

Works in index space, so oblique, left-handed and sheared axes are all the same to it. A registration enters here as
`pose` and nowhere else: whatever it is made of becomes one transform from index to index.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from MedFusionLib.files.formats import LPS_TO_RAS
from MedFusionLib.harmonize.pose import Pose
from MedFusionLib.volume import Grid, Volume

INTERPOLATIONS = ("linear", "bspline", "nearest")


def resample(
    array: np.ndarray,
    grid: Grid,
    target: Grid,
    *,
    interpolation: str = "linear",
    pose: Pose | None = None,
) -> np.ndarray:
    """Sample (K, J, I) values of one grid at the voxels of another; beyond its edge, the values at the edge.

    Where the target is coarser the values are smoothed first, by a Gaussian that makes up the difference in voxel
    size, so that nothing aliases (labels, with "nearest", are not).

    Args:
        array: (K, J, I) values, finite.
        grid: where they lie.
        target: where they are wanted.
        interpolation: one of `INTERPOLATIONS`; cubic B-spline values stay within the source's range.
        pose: where the target's points lie in the source; in the same place if None.

    Returns:
        float32 of the target's shape; a copy-free view where both grids are the same.
    """
    step = _index_map(grid, target, pose)
    values = np.asarray(array, np.float32)
    if _is_linear(pose) and grid.shape == target.shape and _is_identity(step, grid.shape):
        return values
    if interpolation != "nearest":
        values = _antialiased(values, step)
    # ITK's spline prefilter needs four samples along every axis.
    method = "linear" if interpolation == "bspline" and min(grid.shape) < 4 else interpolation
    # ITK's interpolators stop short of the outer half of the last voxels; what lies beyond is `field_of_view`'s.
    result = _executed(values, _index_transform(grid, target, pose, step), target, method, extrapolate=True)
    if method == "bspline":
        np.clip(result, values.min(), values.max(), out=result)
    return result


def field_of_view(volume: Volume, target: Grid, pose: Pose | None = None) -> np.ndarray:
    """(K, J, I) bool: the target voxels whose centers lie in the volume's voxels that hold a finite number."""
    step = _index_map(volume.grid, target, pose)
    finite = np.isfinite(volume.array) if volume.array.ndim == 3 else np.ones(volume.grid.shape, bool)
    if not _is_linear(pose):
        transform = _index_transform(volume.grid, target, pose, step)
        return _executed(finite.view(np.uint8), transform, target, "nearest", extrapolate=False) > 0
    axes = [np.arange(n, dtype=np.float32) for n in target.shape[::-1]]
    inside = np.ones(target.shape, bool)
    for row, length in zip(step[:3], volume.grid.shape[::-1], strict=True):
        along = (row[0] * axes[0])[None, None] + (row[1] * axes[1])[None, :, None] + (row[2] * axes[2])[:, None, None]
        along += np.float32(row[3])
        # The edge of the outermost voxel, with the allowance of `SAME_GRID_MM` for float32 headers.
        inside &= (along >= -0.501) & (along <= length - 0.499)
    if not finite.all():
        inside &= resample(finite, volume.grid, target, interpolation="nearest", pose=pose) > 0.5
    return inside


def filled(array: np.ndarray) -> np.ndarray:
    """The array with each NaN or infinite voxel replaced by its nearest finite one (a copy only if there are any)."""
    missing = ~np.isfinite(array)
    if not missing.any():
        return array
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return array[tuple(nearest)]


def _is_linear(pose: Pose | None) -> bool:
    return pose is None or pose.matrix is not None


def _index_map(grid: Grid, target: Grid, pose: Pose | None) -> np.ndarray:
    """(4, 4) from target (i, j, k, 1) to source (i, j, k, 1); of a deformable pose its best affine approximation."""
    if pose is None:
        return np.linalg.solve(grid.affine, target.affine)
    if pose.matrix is not None:
        return np.linalg.solve(grid.affine, pose.matrix @ target.affine)
    corners = [np.unique(np.linspace(0, n - 1, 5)) for n in target.shape[::-1]]
    index = np.stack(np.meshgrid(*corners, indexing="ij"), -1).reshape(-1, 3)
    world = index @ target.affine[:3, :3].T + target.affine[:3, 3]
    # What the pose adds is fitted, so that along an axis of one voxel, of which nothing is known, it adds nothing.
    added = np.linalg.lstsq(np.c_[index, np.ones(len(index))], pose.points(world) - world, rcond=None)[0].T
    step = target.affine.copy()
    step[:3] += added
    return np.linalg.solve(grid.affine, step)


def _index_transform(grid: Grid, target: Grid, pose: Pose | None, step: np.ndarray) -> Any:
    """The ITK transform from the target's index to the source's."""
    import SimpleITK as sitk

    if pose is None or pose.matrix is not None:
        return _affine(step)
    to_index = _affine(np.linalg.inv(grid.affine) @ LPS_TO_RAS)
    # The last of a composite is applied first.
    return sitk.CompositeTransform([to_index, pose.transform, _affine(LPS_TO_RAS @ target.affine)])


def _affine(matrix: np.ndarray) -> Any:
    import SimpleITK as sitk

    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def _executed(values: np.ndarray, transform: Any, target: Grid, method: str, *, extrapolate: bool) -> np.ndarray:
    """The values seen through a transform of indices: the nearest voxel's, or 0, beyond the source's edge."""
    import SimpleITK as sitk

    resampler = sitk.ResampleImageFilter()
    resampler.SetTransform(transform)
    resampler.SetSize([int(n) for n in target.shape[::-1]])
    resampler.SetInterpolator(
        {"linear": sitk.sitkLinear, "bspline": sitk.sitkBSpline, "nearest": sitk.sitkNearestNeighbor}[method]
    )
    if extrapolate:
        resampler.UseNearestNeighborExtrapolatorOn()
    return sitk.GetArrayFromImage(resampler.Execute(sitk.GetImageFromArray(values)))


def _is_identity(step: np.ndarray, shape: tuple[int, int, int]) -> bool:
    """Whether no voxel moves by more than a thousandth of a voxel."""
    return bool((np.abs(step - np.eye(4))[:3] @ [*shape[::-1], 1]).max() < 1e-3)


def _antialiased(values: np.ndarray, step: np.ndarray) -> np.ndarray:
    # One source voxel along axis n crosses 1 / ratio target voxels. Shear alone (gantry tilt) leaves that at one; a
    # thick target slice that is turned smooths less than its thickness, rather than blurring within its plane.
    ratio = 1 / np.linalg.norm(np.linalg.inv(step[:3, :3]), axis=0)
    # A box of `ratio` voxels has the variance ratio^2 / 12; the source's own voxel already gives 1 / 12. Twice that
    # (a triangle) suppresses the frequencies that would fold.
    sigma = np.sqrt(np.maximum(ratio**2 - 1, 0) / 6)[::-1] * (np.array(values.shape) > 1)
    if sigma.max() < 0.1:
        return values
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, sigma, mode="nearest")
