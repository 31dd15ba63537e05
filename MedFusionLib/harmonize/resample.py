"""Values of a volume on another grid, each voxel interpolated once.

Works in index space, so oblique, left-handed and sheared axes are all the same to it. A registration enters here as
`pose` and nowhere else.
"""

from __future__ import annotations

import numpy as np

from MedFusionLib.volume import Grid, Volume

INTERPOLATIONS = ("linear", "bspline", "nearest")


def resample(
    array: np.ndarray,
    grid: Grid,
    target: Grid,
    *,
    interpolation: str = "linear",
    pose: np.ndarray | None = None,
) -> np.ndarray:
    """Sample (K, J, I) values of one grid at the voxels of another; beyond its edge, the values at the edge.

    Where the target is coarser the values are smoothed first, by a Gaussian that makes up the difference in voxel
    size, so that nothing aliases (labels, with "nearest", are not).

    Args:
        array: (K, J, I) values, finite.
        grid: where they lie.
        target: where they are wanted.
        interpolation: one of `INTERPOLATIONS`; cubic B-spline values stay within the source's range.
        pose: (4, 4) target RAS -> source RAS, identity if None.

    Returns:
        float32 of the target's shape; a copy-free view where both grids are the same.
    """
    import SimpleITK as sitk

    step = _index_map(grid, target, pose)
    values = np.asarray(array, np.float32)
    if grid.shape == target.shape and _is_identity(step, grid.shape):
        return values
    if interpolation != "nearest":
        values = _antialiased(values, step)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(step[:3, :3].ravel().tolist())
    transform.SetTranslation(step[:3, 3].tolist())
    # ITK's spline prefilter needs four samples along every axis.
    method = "linear" if interpolation == "bspline" and min(grid.shape) < 4 else interpolation
    resampler = sitk.ResampleImageFilter()
    resampler.SetTransform(transform)
    resampler.SetSize([int(n) for n in target.shape[::-1]])
    resampler.SetInterpolator(
        {"linear": sitk.sitkLinear, "bspline": sitk.sitkBSpline, "nearest": sitk.sitkNearestNeighbor}[method]
    )
    # ITK's interpolators stop short of the outer half of the last voxels; what lies beyond is `field_of_view`'s.
    resampler.UseNearestNeighborExtrapolatorOn()
    result = sitk.GetArrayFromImage(resampler.Execute(sitk.GetImageFromArray(values)))
    if method == "bspline":
        np.clip(result, values.min(), values.max(), out=result)
    return result


def field_of_view(volume: Volume, target: Grid, pose: np.ndarray | None = None) -> np.ndarray:
    """(K, J, I) bool: the target voxels whose centers lie in the volume's voxels that hold a finite number."""
    step = _index_map(volume.grid, target, pose)
    axes = [np.arange(n, dtype=np.float32) for n in target.shape[::-1]]
    inside = np.ones(target.shape, bool)
    for row, length in zip(step[:3], volume.grid.shape[::-1], strict=True):
        along = (row[0] * axes[0])[None, None] + (row[1] * axes[1])[None, :, None] + (row[2] * axes[2])[:, None, None]
        along += np.float32(row[3])
        # The edge of the outermost voxel, with the allowance of `SAME_GRID_MM` for float32 headers.
        inside &= (along >= -0.501) & (along <= length - 0.499)
    finite = np.isfinite(volume.array)
    if volume.array.ndim == 3 and not finite.all():
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


def _index_map(grid: Grid, target: Grid, pose: np.ndarray | None) -> np.ndarray:
    """(4, 4) from target (i, j, k, 1) to source (i, j, k, 1)."""
    world = target.affine if pose is None else pose @ target.affine
    return np.linalg.solve(grid.affine, world)


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
