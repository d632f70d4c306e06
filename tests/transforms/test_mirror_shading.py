"""Shading of one side is divided out; lesions and what is alike on both sides stay."""

import numpy as np
import pytest

from lesionlab.transforms.mirror_shading import evenly_lit

SHAPE = (40, 44, 20)
X, Y, Z = (
    np.linspace(-1, 1, size).reshape([-1 if axis == own else 1 for axis in range(3)]) for own, size in enumerate(SHAPE)
)
HEAD = (X / 0.9) ** 2 + (Y / 0.9) ** 2 + (Z / 0.9) ** 2 < 1


def head_of(*, seed: int = 0) -> np.ndarray:
    """Return a noisy head, brighter in the middle, alike on both sides."""
    noise = np.random.default_rng(seed).normal(1, 0.03, SHAPE)
    return np.where(HEAD, 100 * (1 + 0.3 * np.cos(3 * Y)) * noise, 0).astype(np.float32)


def side_ratio(image: np.ndarray) -> float:
    """Return the mean size of the logarithm of the ratio of mirror twins."""
    both = HEAD & HEAD[::-1]
    ratio = np.log(image[both] / image[::-1][both])
    return float(np.abs(ratio).mean())


def test_slow_shading_goes_and_what_both_sides_share_stays():
    image = head_of()
    shaded = (image * np.exp(0.2 * X + 0.1 * X**3 - 0.1 * X * Y + 0.15 * X * Z**2)).astype(np.float32)
    assert side_ratio(shaded) > 3 * side_ratio(image)
    np.testing.assert_allclose(evenly_lit(shaded, HEAD), image, rtol=0.01)
    np.testing.assert_allclose(evenly_lit(image, HEAD), image, rtol=0.01)


def test_a_large_lesion_keeps_its_contrast():
    image = head_of()
    lesion = (X - 0.5) ** 2 + Y**2 + Z**2 < 0.1
    image[lesion & HEAD] *= 1.6
    even = evenly_lit((image * np.exp(0.25 * X)).astype(np.float32), HEAD)
    assert np.mean(even[lesion] / image[lesion]) == pytest.approx(1, abs=0.03)


def test_exchanging_the_sides_exchanges_them_in_the_result():
    shaded = (head_of() * np.exp(0.2 * X * (1 + Y))).astype(np.float32)
    np.testing.assert_allclose(evenly_lit(shaded[::-1], HEAD[::-1])[::-1], evenly_lit(shaded, HEAD), rtol=1e-4)


@pytest.mark.parametrize("head", [np.zeros(SHAPE, bool), np.ones(SHAPE, bool)])
def test_without_air_or_without_head_nothing_changes(head: np.ndarray):
    image = head_of()
    np.testing.assert_array_equal(evenly_lit(image, head), image)
