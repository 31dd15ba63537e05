"""The peak of a run grows with the volume and no faster, and is bounded by what is free."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from MedFusionLib.registry import list_methods

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from Testing.peak import peak_bytes
import numpy as np, torch
from MedFusionLib.volume import Aligned, Grid, Volume, Window
from MedFusionLib.pipeline import fuse_aligned
name, plane, slices = sys.argv[1], sys.argv[2], int(sys.argv[3])
if len(sys.argv) > 4:
    from MedFusionLib import slabs
    slabs.free_bytes = lambda device: int(sys.argv[4])
shape = (slices, 128, 128)
rng = np.random.default_rng(0)
volumes = tuple(Volume(rng.random(shape, dtype=np.float32), Grid(shape, np.eye(4)), "MR") for _ in range(2))
aligned = Aligned(volumes, (Window(0, 1),) * 2, np.ones((2, *shape), bool), np.ones(shape, bool))
small = Aligned(tuple(Volume(v.array[:8], Grid((8, 128, 128), np.eye(4)), "MR") for v in volumes),
                (Window(0, 1),) * 2, np.ones((2, 8, 128, 128), bool), np.ones((8, 128, 128), bool))
fuse_aligned(small, method=name, plane=plane)
before = peak_bytes()
fuse_aligned(aligned, method=name, plane=plane)
print((peak_bytes() - before) / 2**20)
"""


def megabytes(*arguments):
    """What a run adds to the peak of its process."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


CASES = [
    (name, plane)
    for name, entry in list_methods().items()
    for plane, dims in (("axial", 2), ("volume", 3))
    if dims in entry.dims
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "plane"), CASES)
def test_the_peak_grows_no_faster_than_the_volume(name, plane):
    one, two = megabytes(name, plane, 128), megabytes(name, plane, 256)
    # 10 % and 20 MB for the allocator, which keeps freed blocks.
    assert two <= 2.2 * one + 20


def test_little_free_memory_means_a_small_peak():
    # 512 slices of 128 x 128 are 32 MB an array; whole, the method takes 400 MB. Of 100 MB free, half is for slabs.
    plenty = megabytes("two_scale", "volume", 512, 100 * 2**30)
    scarce = megabytes("two_scale", "volume", 512, 100 * 2**20)
    assert plenty > 300
    assert scarce < 220  # the result 32, slabs 50, and what the allocator keeps of them
