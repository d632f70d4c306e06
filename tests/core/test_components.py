"""Connected components are those of SciPy, whatever the shape and the order in memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from lesionlab.core.components import number_components


@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(1, 14)] * 3)),
    density=st.floats(0, 1),
    seed=st.integers(0, 10_000),
    is_reversed=st.booleans(),
    is_transposed=st.booleans(),
)
def test_components_are_those_of_scipy(
    shape: tuple[int, ...], density: float, seed: int, is_reversed: bool, is_transposed: bool
) -> None:
    mask = np.random.default_rng(seed).random(shape) < density
    mask = mask[::-1] if is_reversed else mask
    mask = mask.T if is_transposed else mask
    for neighbours, reach in ((4, 1), (8, 2)) if mask.ndim == 2 else ((6, 1), (26, 3)):
        numbers, n = number_components(mask, neighbours=neighbours)
        expected, n_expected = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, reach))
        assert n == n_expected
        pairs = set(zip(numbers[mask].tolist(), expected[mask].tolist(), strict=True))
        assert len(pairs) == n
        assert not numbers[~mask].any()


@pytest.mark.parametrize("shape", [(0, 3, 3), (5, 5, 5), (7, 1, 1)])
def test_an_empty_mask_has_no_component(shape: tuple[int, ...]) -> None:
    numbers, n = number_components(np.zeros(shape, np.bool_), neighbours=26)
    assert (numbers.shape, n) == (shape, 0)
