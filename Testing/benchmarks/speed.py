"""Seconds and memory of the fusion step on a 256 x 256 x 180 pair, given harmonized input.

    python -m Testing.benchmarks.speed [METHOD PLANE]
    python -m Testing.benchmarks.speed METHOD pair      one 256 x 256 pair instead

Each row runs in a process of its own: the first run, the median of five more, and the peak of the whole process.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from Testing.peak import peak_bytes

SHAPE = (180, 256, 256)
METHODS = ("average", "laplacian", "dwt", "guided", "two_scale", "pca")
ROWS = [(name, plane) for name in METHODS for plane in ("axial", "volume")]
ROWS += [("numpy", "mean"), ("numpy", "foreground")]


def heads(shape=SHAPE):
    """Two textured balls on black, as large as a head in its field of view."""
    from scipy.ndimage import gaussian_filter

    from MedFusionLib.harmonize.mask import foreground
    from MedFusionLib.volume import Aligned, Grid, Volume, Window

    grid = Grid(shape, np.eye(4))
    axes = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    inside = sum(axis**2 for axis in axes) < 0.9
    volumes = []
    for seed in range(2):
        array = gaussian_filter(np.random.default_rng(seed).random(shape, dtype=np.float32), 1)
        array = (array - array.min()) / np.ptp(array) * inside
        volumes.append(Volume(array, grid, "MR"))
    fields = np.ones((2, *shape), bool)
    mask = foreground([volume.array for volume in volumes], fields)
    return Aligned(tuple(volumes), (Window(0, 1),) * 2, fields, mask)


def middle(aligned):
    """The second of three slices."""
    from MedFusionLib.volume import Aligned, Grid, Volume

    grid = Grid((1, *aligned.grid.shape[1:]), aligned.grid.affine)
    volumes = tuple(Volume(volume.array[1:2], grid, volume.modality) for volume in aligned.volumes)
    return Aligned(volumes, aligned.windows, aligned.fields[:, 1:2], aligned.mask[1:2])


def job(name, plane):
    """The work to time."""
    # One slice through the middle: numpy's grids of one sample begin at -1, outside of the ball.
    aligned = heads() if plane != "pair" else middle(heads((3, *SHAPE[1:])))
    a, b = (volume.array for volume in aligned.volumes)
    if name == "numpy":
        if plane == "mean":
            return lambda: (a + b) / 2
        return lambda: np.where(aligned.mask, (a + b) / 2, a)
    import torch  # noqa: F401  its import is not the work

    from MedFusionLib.pipeline import fuse_aligned

    return lambda: fuse_aligned(aligned, method=name, plane="axial" if plane == "pair" else plane)


def measure(name, plane):
    work, seconds = job(name, plane), []
    before = peak_bytes() / 2**20
    for _ in range(6):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    peak = peak_bytes() / 2**20
    first, rest = seconds[0], np.median(seconds[1:])
    print(
        f"{name:<10} {plane:<10} first {first:6.3f} s  then {rest:6.3f} s  peak {peak:5.0f} MB ({peak - before:+.0f})"
    )


def main():
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
        return
    for row in ROWS:
        subprocess.run([sys.executable, "-m", "Testing.benchmarks.speed", *row], check=True)


if __name__ == "__main__":
    main()
