"""Voxels go to the working grid and come back where they were."""

import numpy as np
import pytest

from lesionlab.core.grid import Box, Grid
from lesionlab.transforms.geometry import Geometry, reorient, resample, to_working

SPACING_MM = (1.0, 1.2, 3.0)
SHAPE = (40, 36, 14)


def grid_of(*, degrees: float = 0.0, shape: tuple[int, int, int] = SHAPE) -> Grid:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(SPACING_MM)
    matrix[:3, 3] = (-20, 13, 5)
    return Grid.of(shape, matrix)


def blob() -> np.ndarray:
    x, y, z = np.indices(SHAPE)
    return ((x - 22) / 8) ** 2 + ((y - 15) / 7) ** 2 + ((z - 7) / 4) ** 2 < 1


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def all_of(grid: Grid) -> Box:
    return Box(start=(0, 0, 0), stop=grid.shape)


@pytest.mark.parametrize("degrees", [0.0, 20.0])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 1.5, 2.0)])
def test_a_mask_survives_another_spacing_and_back(degrees: float, spacing_mm: tuple[float, float, float]):
    scan = grid_of(degrees=degrees)
    working = scan.canonical().respaced(spacing_mm)
    moved = to_working(blob().astype(np.float32), scan, working=working, order=1)
    assert moved.shape == working.shape
    geometry = Geometry(scan=scan, working=working, box=all_of(working))
    back = geometry.to_scan(moved[None])[0] > 0.5
    assert dice(back, blob()) >= 0.95


def test_a_map_comes_back_from_its_box_and_is_nothing_outside():
    scan = grid_of()
    box = Box(start=(3, 4, 5), stop=(10, 20, 9))
    kept = np.random.default_rng(0).random((2, *box.shape), dtype=np.float32)
    on_scan = Geometry(scan=scan, working=scan.canonical(), box=box).to_scan(kept)
    np.testing.assert_array_equal(on_scan[:, 3:10, 4:20, 5:9], kept)
    assert np.count_nonzero(on_scan) == kept.size


def test_resampling_a_ramp_is_exact():
    """Linear interpolation gives back a linear function of the world, at any place inside."""
    ramp = np.indices(SHAPE)[0].astype(np.float32)
    matrix = np.diag([1.7, 1.3, 2.0, 1.0])
    matrix[:3, 3] = (-15, 20, 10)
    target = Grid.of((10, 10, 5), matrix)
    moved = resample(ramp, grid_of(), target=target, order=1)
    np.testing.assert_allclose(moved, np.indices(target.shape)[0] * 1.7 - 15 + 20, atol=1e-4)


@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_the_minimum_lies_beyond_the_field_of_view(degrees: float):
    source = grid_of(degrees=degrees, shape=(6, 6, 4))
    array = np.full(source.shape, 7.0, np.float32)
    array[2, 2, 2] = -3
    matrix = source.matrix
    matrix[:3, 3] -= matrix[:3, :3] @ (6, 6, 6)
    wide = Grid.of((18, 18, 16), matrix)
    moved = resample(array, source, target=wide, order=1)
    np.testing.assert_allclose(moved[6:12, 6:12, 6:10], array, atol=1e-4)
    np.testing.assert_allclose(moved[[0, -1]], -3)
    np.testing.assert_allclose(moved[:, :, [0, -1]], -3)


def test_labels_are_moved_to_the_nearest_voxel():
    label = np.zeros(SHAPE, np.int16)
    label[10:20, 10:20, 3:9] = 4
    working = grid_of().respaced((0.7, 0.7, 1.0))
    assert np.unique(to_working(label, grid_of(), working=working, order=0)).tolist() == [0, 4]


def test_turning_axes_changes_no_value():
    array = np.random.default_rng(0).random(SHAPE)
    turned = Grid.of((14, 40, 36), grid_of().matrix[:, [2, 0, 1, 3]])
    moved = reorient(array, source=grid_of(), target=turned)
    np.testing.assert_array_equal(moved, array.transpose(2, 0, 1))
