"""A grid says where voxels lie, whatever the order and direction of its axes."""

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, inv_ornt_aff

from lesionlab.core.errors import GridError
from lesionlab.core.grid import TOLERANCE_MM, Box, Grid

ORIENTATIONS = [
    tuple(axis[0] if sign > 0 else axis[1] for axis, sign in zip(axes, signs, strict=True))
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for signs in itertools.product((1, -1), repeat=3)
]
"""All 48 axis codes, such as ("L", "P", "S")."""

SPACING_MM = (0.9, 1.1, 3.0)
SHAPE = (5, 6, 4)


def rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def make_grid(codes: tuple[str, ...] = ("R", "A", "S"), *, degrees: float = 0.0) -> Grid:
    turned = np.eye(4)
    turned[:3, :3] = rotation(degrees) @ np.diag(SPACING_MM)
    turned[:3, 3] = (-30.0, 12.0, 7.0)
    ras = nibabel.orientations.axcodes2ornt(("R", "A", "S"))
    change = nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt(codes), ras)
    stored_shape = tuple(SHAPE[int(axis)] for axis, _ in change)
    return Grid.of(stored_shape, turned @ np.linalg.inv(inv_ornt_aff(change, stored_shape)))


def world_of(grid: Grid) -> np.ndarray:
    """Return the world coordinates of every voxel, (x, y, z, 3)."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return index @ grid.matrix[:3, :3].T + grid.matrix[:3, 3]


shapes = st.tuples(*[st.integers(1, 40)] * 3)
nine_numbers = st.lists(st.floats(-1, 1), min_size=9, max_size=9)


def odd_grid(shape: tuple[int, int, int], numbers: list[float]) -> Grid:
    """Return a well-conditioned grid: a diagonal of 1 to 3 mm with a little of everything else."""
    matrix = np.diag([*(2 + np.array(numbers[:3])), 1.0])
    matrix[:3, 3] = 100 * np.array(numbers[3:6])
    matrix[[0, 1, 2], [1, 2, 0]] = 0.3 * np.array(numbers[6:9])
    return Grid.of(shape, matrix)


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("degrees", [0.0, 20.0])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_canonical_keeps_every_voxel_in_its_place(codes: tuple[str, str, str], degrees: float):
    grid = make_grid(codes, degrees=degrees)
    assert nibabel.aff2axcodes(make_grid(codes).matrix) == codes
    canonical = grid.canonical()
    assert nibabel.aff2axcodes(canonical.matrix) == ("R", "A", "S")
    assert canonical.spacing_mm == pytest.approx(SPACING_MM)
    assert canonical.shape == SHAPE
    moved = apply_orientation(world_of(grid), grid.to_canonical())
    np.testing.assert_allclose(moved, world_of(canonical), atol=1e-9)


@given(shapes, nine_numbers)
def test_canonical_twice_is_canonical_once(shape: tuple[int, int, int], numbers: list[float]):
    grid = odd_grid(shape, numbers)
    assert grid.canonical().distance_mm(grid.canonical().canonical()) < 1e-9


def test_spacing_and_volume():
    grid = make_grid(("P", "S", "L"), degrees=20)
    assert grid.spacing_mm == pytest.approx((1.1, 3.0, 0.9))
    assert grid.voxel_volume_mm3 == pytest.approx(0.9 * 1.1 * 3.0)


@given(shapes, nine_numbers, st.data())
def test_cropped_voxels_stay_in_place(shape: tuple[int, int, int], numbers: list[float], data: st.DataObject):
    grid = odd_grid(shape, numbers)
    start = tuple(data.draw(st.integers(0, size - 1)) for size in grid.shape)
    stop = tuple(data.draw(st.integers(low + 1, size)) for low, size in zip(start, grid.shape, strict=True))
    box = Box(start=start, stop=stop)
    np.testing.assert_allclose(world_of(grid.cropped(box)), world_of(grid)[box.slices], atol=1e-9)


@given(shapes, nine_numbers, st.tuples(*[st.floats(0.5, 5)] * 3))
def test_respaced_covers_the_same_field_of_view(
    shape: tuple[int, int, int], numbers: list[float], spacing_mm: tuple[float, float, float]
):
    grid = odd_grid(shape, numbers)
    respaced = grid.respaced(spacing_mm)
    assert respaced.spacing_mm == pytest.approx(spacing_mm)
    first_edge = np.array([-0.5, -0.5, -0.5, 1.0])
    np.testing.assert_allclose(respaced.matrix @ first_edge, grid.matrix @ first_edge, atol=1e-9)
    extents = zip(grid.shape, grid.spacing_mm, respaced.shape, spacing_mm, strict=True)
    for size, step, new_size, new_step in extents:
        assert new_size == 1 or abs(new_size * new_step - size * step) <= new_step / 2 + 1e-9


@given(shapes, nine_numbers)
def test_respacing_to_the_same_spacing_changes_nothing(shape: tuple[int, int, int], numbers: list[float]):
    grid = odd_grid(shape, numbers)
    assert grid.distance_mm(grid.respaced(grid.spacing_mm)) < 1e-9


def test_distance_of_another_shape_is_infinite():
    grid = make_grid()
    assert grid.distance_mm(Grid.of((5, 6, 5), grid.matrix)) == float("inf")


def test_distance_is_that_of_the_furthest_corner():
    grid = make_grid()
    stretched = grid.matrix
    stretched[0, 0] *= 1.01
    assert grid.distance_mm(Grid.of(SHAPE, stretched)) == pytest.approx(4 * 0.009)


@pytest.mark.parametrize(
    ("shift_mm", "shape", "found"),
    [(5.0, SHAPE, "up to 5 mm apart"), (2 * TOLERANCE_MM, SHAPE, "up to 0.002 mm"), (0.0, (5, 6, 5), "(5, 6, 5)")],
)
def test_another_grid_is_refused(shift_mm: float, shape: tuple[int, int, int], found: str):
    matrix = make_grid().matrix
    matrix[1, 3] += shift_mm
    with pytest.raises(GridError) as caught:
        make_grid().check_same(Grid.of(shape, matrix), mine=Path("a.nii"), others=Path("b.nii"), next_step="resample")
    assert found in caught.value.found
    assert caught.value.where == "a.nii and b.nii"


def test_rounding_is_not_another_grid():
    matrix = make_grid().matrix + 1e-5
    make_grid().check_same(Grid.of(SHAPE, matrix), mine=Path("a"), others=Path("b"), next_step="")


def test_a_grid_is_a_value():
    assert make_grid() == make_grid()
    assert hash(make_grid()) == hash(make_grid())
    assert make_grid() != make_grid(("L", "A", "S"))


def test_a_grid_has_three_axes():
    with pytest.raises(AssertionError, match="three axes"):
        Grid.of((5, 6), np.eye(4))


def test_what_a_box_of_another_grid_can_reach():
    grid = make_grid()
    finer = grid.respaced((0.45, 1.1, 3.0))
    box = Box.of((2, 1, 0), (4, 3, 2))
    assert grid.covering(box, of=grid) == Box.of((1, 0, 0), (5, 4, 3))
    assert finer.covering(box, of=grid) == Box.of((2, 0, 0), (10, 4, 3))


def test_boxes_unite_and_empty_ones_do_not_count():
    first, second, empty = Box.of((1, 5, 2), (3, 6, 4)), Box.of((2, 0, 3), (7, 1, 9)), Box.of((0, 0, 0), (0, 0, 0))
    assert Box.uniting([first, empty, second]) == Box.of((1, 0, 2), (7, 6, 9))
    assert Box.uniting([empty]) == Box.uniting([]) == empty


def test_a_box_within_a_box_and_back():
    inner, outer = Box.of((1, 0, 2), (3, 4, 5)), Box.of((10, 20, 30), (20, 30, 40))
    assert inner.within(outer) == Box.of((11, 20, 32), (13, 24, 35))
    assert inner.within(outer).seen_from(outer) == inner
