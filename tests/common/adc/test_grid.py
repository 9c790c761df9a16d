import numpy as np
import pytest

from common.adc import Grid, grid_difference


def test_difference_of_grids_says_by_how_much():
    grid = Grid((10, 10, 5), np.diag([2.0, 2.0, 3.0, 1.0]))
    moved = grid.affine.copy()
    moved[:3, 3] += (0.0, 3.0, 4.0)
    wider = np.diag([2.0, 2.5, 3.0, 1.0])
    angle = np.radians(2)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert grid_difference(grid, grid) == ""
    assert "size (10, 10, 6) instead of (10, 10, 5)" in grid_difference(grid, Grid((10, 10, 6), grid.affine))
    assert "5 mm away (spacing off by 0 mm, origin by 5 mm" in grid_difference(grid, Grid(grid.size, moved))
    assert "4.5 mm away (spacing off by 0.5 mm" in grid_difference(grid, Grid(grid.size, wider))
    assert "direction by 2 degrees" in grid_difference(grid, Grid(grid.size, turn @ grid.affine))


@pytest.mark.parametrize(("shift_mm", "differs"), [(3.5e-3, False), (6.9e-3, False), (7.1e-3, True)])
def test_grids_within_a_hundredth_of_a_voxel_are_one(shift_mm, differs):
    first, second = (Grid((64, 64, 20), np.diag([0.7, 0.7, 2.2, 1.0])) for _ in range(2))
    second.affine[1, 3] += shift_mm
    assert bool(grid_difference(first, second)) == differs


def test_rounding_of_a_header_is_no_difference():
    affine = np.diag([0.703125, 0.703125, 2.2, 1.0])
    assert grid_difference(Grid((256, 256, 60), affine), Grid((256, 256, 60), affine.astype(np.float16) * 1.0)) != ""
    assert grid_difference(Grid((256, 256, 60), affine), Grid((256, 256, 60), affine.astype(np.float32) * 1.0)) == ""
