"""Interpolation axis by axis gives what interpolation at once gives, and moves bit by bit what lies on voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from lesionlab.transforms.along_axes import interpolate_along_axes

SHAPE = (7, 6, 5)
ARRAY = np.asfortranarray(np.random.default_rng(0).normal(10, 4, SHAPE).astype(np.float32))


@pytest.mark.parametrize("turned", [ARRAY, np.ascontiguousarray(ARRAY), ARRAY[::-1, :, ::-1]])
@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), order=st.sampled_from([0, 1]))
def test_agrees_with_scipy_inside_and_continues_the_border_outside(turned: np.ndarray, seed: int, order: int):
    generator = np.random.default_rng(seed)
    places = [np.sort(generator.uniform(-2.5, size + 1.5, generator.integers(1, 9))) for size in SHAPE]
    found = interpolate_along_axes(turned, places, order=order, beyond=-9.0)
    lattice = np.stack(np.meshgrid(*places, indexing="ij"))
    expected = map_coordinates(turned, lattice, order=order, mode="nearest")
    is_beyond = np.any([(axis < -1) | (axis > size) for axis, size in zip(lattice, SHAPE, strict=True)], axis=0)
    np.testing.assert_allclose(found, np.where(is_beyond, -9.0, expected), atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("order", [0, 1])
def test_what_lies_on_voxels_is_moved_bit_by_bit(order: int):
    noise = 1e-9 * np.random.default_rng(0).standard_normal(3)
    places = [np.arange(1.0, 5) + noise[0], np.arange(5.0, 1, -1) + noise[1], np.array([2.0 + noise[2]])]
    found = interpolate_along_axes(ARRAY, places, order=order, beyond=0.0)
    np.testing.assert_array_equal(found, ARRAY[1:5, 5:1:-1, 2:3])


def test_labels_keep_their_type():
    label = np.arange(210, dtype=np.int16).reshape(SHAPE)
    found = interpolate_along_axes(label, [np.array([0.4, 5.6]), np.array([2.0]), np.array([3.4])], order=0, beyond=0.0)
    np.testing.assert_array_equal(found, label[[0, 6]][:, [2]][:, :, [3]])
