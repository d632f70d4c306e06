"""N4 takes out what a coil puts in."""

import numpy as np
import pytest

from lesionlab.transforms.bias_field import without_bias_field

SHAPE = (32, 32, 20)
SPACING_MM = (2.0, 2.0, 2.5)


def head(shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a head of two tissues, its foreground, and a field that is three times as strong on one side."""
    x, y, z = (np.linspace(-1, 1, size) for size in shape)
    x, y, z = np.meshgrid(x, y, z if shape[2] > 1 else [0.0], indexing="ij")
    distance = np.sqrt(x**2 + y**2 + z**2)
    generator = np.random.default_rng(0)
    image = np.where(distance < 0.5, 200.0, 100.0) + generator.normal(0, 2, shape)
    inside = distance < 0.9
    return np.where(inside, image, 0).astype(np.float32), inside, np.exp(0.55 * x).astype(np.float32)


def unevenness(image: np.ndarray, flat: np.ndarray, inside: np.ndarray) -> float:
    """Return the variation of what multiplies the image, in shares of its mean."""
    ratio = image[inside] / flat[inside]
    return float(ratio.std() / ratio.mean())


@pytest.mark.parametrize("shape", [SHAPE, (64, 60, 1)])
def test_a_field_is_evened_out(shape: tuple[int, int, int]):
    flat, inside, field = head(shape)
    uneven = flat * field
    corrected = without_bias_field(uneven, inside, spacing_mm=SPACING_MM)
    assert corrected.dtype == np.float32
    assert corrected.shape == shape
    assert unevenness(uneven, flat, inside) > 0.2
    assert unevenness(corrected, flat, inside) < 0.06


def test_the_same_again():
    flat, inside, field = head((20, 20, 16))
    first, second = (without_bias_field(flat * field, inside, spacing_mm=SPACING_MM) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_nothing_to_estimate_from_changes_nothing():
    flat, inside, _ = head((20, 20, 4))
    for image, foreground in ((flat, np.zeros_like(inside)), (-1 - flat, inside), (flat[:, :1, :1], inside[:, :1, :1])):
        np.testing.assert_array_equal(without_bias_field(image, foreground, spacing_mm=SPACING_MM), image)
