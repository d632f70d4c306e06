import numpy as np
import pytest
from scipy.stats import binomtest

from lesionlab.transforms.flips_and_intensity import FlipsAndIntensity

SHAPES = [(12, 15), (8, 9, 10)]


def sample(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return an image without symmetry in which the label is where the first modality is positive."""
    image = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    return image, (image[0] > 0).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_image_and_label_turn_together(shape: tuple[int, ...]):
    image, label = sample(shape)
    turned, turned_label = FlipsAndIntensity(flip=1.0, intensity=0.0)(image, label, generator=np.random.default_rng(1))
    axes = tuple(range(1, image.ndim))
    np.testing.assert_array_equal(turned, np.flip(image, axes))
    np.testing.assert_array_equal(turned_label, turned[0] > 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_intensities_change_within_their_range_and_labels_do_not(shape: tuple[int, ...]):
    image, label = sample(shape)
    change = FlipsAndIntensity(flip=0.0, intensity=1.0, scale=0.2, shift=0.1, noise=0.0)
    changed, kept = change(image, label, generator=np.random.default_rng(2))
    np.testing.assert_array_equal(kept, label)
    assert np.abs(changed - image).max() <= 0.2 * np.abs(image).max() + 0.1 + 1e-6
    assert (changed != image).any()


def test_axes_are_reversed_as_often_as_asked():
    image, label = sample((5, 6))
    generator, augment = np.random.default_rng(3), FlipsAndIntensity(flip=0.3, intensity=0.0)
    changed = [augment(image, label, generator=generator)[0] for _ in range(400)]
    first_reversed = sum(bool((one[:, ::-1] == image).all() or (one[:, ::-1, ::-1] == image).all()) for one in changed)
    assert binomtest(first_reversed, 400, 0.3).pvalue > 1e-3
