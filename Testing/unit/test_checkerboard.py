"""Two volumes in alternating cubes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MedFusionLib.checkerboard import checkerboard
from MedFusionLib.errors import GeometryError


def test_every_voxel_is_of_one_of_the_two_and_each_has_about_half(balls):
    mixed = checkerboard(balls, 1)
    first, second = (volume.array for volume in balls.volumes)
    of_first = mixed.array == first
    assert (of_first | (mixed.array == second)).all()
    assert 0.3 < of_first[first != second].mean() < 0.7
    assert mixed.grid is balls.grid


def test_fields_are_cubes_in_millimeters(balls):
    flat = tuple(
        replace(volume, array=np.full(balls.grid.shape, value, np.float32))
        for value, volume in zip((0, 1), balls.volumes, strict=True)
    )
    mixed = checkerboard(replace(balls, volumes=flat), 1).array
    side = 32 / 8
    assert (mixed[: int(side), : int(side), : int(side)] == 0).all()
    assert (mixed[: int(side), : int(side), int(side) : 2 * int(side)] == 1).all()


@pytest.mark.parametrize("number", [0, 2, -1])
def test_only_another_volume_can_be_mixed_in(balls, number):
    with pytest.raises(GeometryError, match="accepted: 1"):
        checkerboard(balls, number)
