"""Two volumes in alternating cubes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MedFusionLib.checkerboard import checkerboard
from MedFusionLib.errors import GeometryError
from MedFusionLib.harmonize.grid import part_of


def test_every_voxel_is_of_one_of_the_two_and_each_has_about_half(balls):
    one, other = balls.volumes
    mixed = checkerboard(one, other)
    of_first = mixed.array == one.array
    assert (of_first | (mixed.array == other.array)).all()
    assert 0.3 < of_first[one.array != other.array].mean() < 0.7
    assert mixed.grid is balls.grid


@pytest.mark.parametrize("fields", [4, 8])
def test_fields_are_cubes_in_millimeters(balls, fields):
    flat = (
        replace(volume, array=np.full(balls.grid.shape, value, np.float32))
        for value, volume in zip((0, 1), balls.volumes, strict=True)
    )
    mixed = checkerboard(*flat, fields).array
    side = 32 // fields
    assert (mixed[:side, :side, :side] == 0).all()
    assert (mixed[:side, :side, side : 2 * side] == 1).all()


def test_only_two_volumes_of_one_grid_can_be_mixed(balls):
    one, other = balls.volumes
    with pytest.raises(GeometryError, match="one volume twice"):
        checkerboard(one, one)
    with pytest.raises(GeometryError, match="two volumes on one grid"):
        checkerboard(one, replace(other, array=other.array[1:], grid=part_of(other.grid, (1, 0, 0), (23, 31, 27))))
