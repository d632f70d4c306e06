"""The box of a head leaves out what is no head, and is large enough on any other grid."""

import numpy as np
import pytest

from lesionlab.core.grid import Box, Grid
from lesionlab.transforms.geometry import to_working
from lesionlab.transforms.head_box import box_on, head_box

SHAPE = (40, 30, 20)


def ball() -> np.ndarray:
    x, y, z = np.indices(SHAPE)
    return ((x - 22) / 9) ** 2 + ((y - 14) / 8) ** 2 + ((z - 9) / 6) ** 2 < 1


def test_every_voxel_counts_where_no_plane_is_stray():
    mask = ball()
    mask[39, 0, 19] = True
    assert head_box(mask, whole=SHAPE, stray_share=0.0) == Box.around(mask)


@pytest.mark.parametrize("order", ["C", "F"])
def test_single_voxels_in_the_air_are_no_head(order: str):
    mask = ball()
    mask[39, 0, 0] = mask[0, 29, 19] = True
    assert head_box(np.asarray(mask, order=order), whole=SHAPE, stray_share=0.005) == Box.around(ball())


def test_a_share_is_of_the_whole_plane():
    mask = np.zeros(SHAPE, bool)
    mask[3:5, 3:6, 3:6] = True
    assert head_box(mask, whole=SHAPE).shape == (2, 3, 3)
    assert head_box(mask, whole=(400, 300, 200)).shape == (0, 0, 0)


def test_nothing_is_an_empty_box():
    assert head_box(np.zeros(SHAPE, bool), whole=SHAPE) == Box.of((0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize("degrees", [0.0, 25.0])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR"])
def test_on_another_grid_nothing_of_the_head_is_lost(degrees: float, codes: str):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.diag([1.0, 1.2, 2.0, 1.0])
    matrix[:2, :2] = np.array([[c, -s], [s, c]]) @ matrix[:2, :2]
    grid = {"RAS": Grid.of(SHAPE, matrix), "LPS": flipped(matrix), "SAR": Grid.of(SHAPE, matrix[:, [1, 2, 0, 3]])}[
        codes
    ]
    working = grid.canonical().respaced((0.9, 0.9, 1.3))
    straight = Grid.of((60, 60, 60), np.array([[1, 0, 0, -25], [0, 1, 0, -5], [0, 0, 1, -5], [0, 0, 0, 1.0]]))
    for target in (grid.canonical(), working, straight):
        box = box_on(target, [ball()], grid=grid)
        whole = to_working(ball().astype(np.float32), grid, working=target, order=1)
        kept = to_working(ball().astype(np.float32), grid, working=target, order=1, box=box)
        assert whole.sum() == pytest.approx(kept.sum(), rel=1e-6)
        np.testing.assert_allclose(kept, whole[box.slices], atol=1e-5)
    assert box_on(grid.canonical(), [ball()], grid=grid).shape == Box.around(canonical(ball(), grid)).shape


def flipped(matrix: np.ndarray) -> Grid:
    other = matrix @ np.diag([-1.0, -1.0, 1.0, 1.0])
    other[:3, 3] = (matrix @ np.array([SHAPE[0] - 1, SHAPE[1] - 1, 0, 1]))[:3]
    return Grid.of(SHAPE, other)


def canonical(mask: np.ndarray, grid: Grid) -> np.ndarray:
    return to_working(mask, grid, working=grid.canonical(), order=0)
