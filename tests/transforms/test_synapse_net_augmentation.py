"""The published augmentation: what is drawn, and that image and label stay together."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from lesionlab.transforms.synapse_net_augmentation import Drawn, SynapseNetAugmentation

SHAPE = (96, 80)
STILL = Drawn(
    flips=(False, False), coordinates=None, gamma=1.0, noise=0.0, noise_seed=0, scale=1.0, shift=0.0, holes=()
)
PUBLISHED = SynapseNetAugmentation()


def draws(augmentation: SynapseNetAugmentation, count: int = 600, shape: tuple[int, int] = (24, 28)) -> list[Drawn]:
    generator = np.random.default_rng(0)
    return [augmentation.draw(shape, generator) for _ in range(count)]


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """Return an image without symmetry whose first modality is the label, and whose second is negative."""
    label = np.zeros(SHAPE, np.uint8)
    label[20:60, 15:40] = 1
    label[50:70, 35:60] = 1
    label[30:36, 20:28] = 0
    return np.stack([label.astype(np.float32), -2 - label.astype(np.float32)]), label


def test_frequencies_are_the_published_odds():
    found = draws(SynapseNetAugmentation(elastic=0.0))
    shares = {
        "flip x": np.mean([drawn.flips[0] for drawn in found]),
        "flip y": np.mean([drawn.flips[1] for drawn in found]),
        "gamma": np.mean([drawn.gamma != 1 for drawn in found]),
        "holes": np.mean([len(drawn.holes) > 0 for drawn in found]),
        "affine": np.mean([drawn.coordinates is not None for drawn in found]),
        "noise": np.mean([drawn.noise > 0 for drawn in found]),
        "intensity": np.mean([drawn.scale != 1 for drawn in found]),
    }
    odds = {"flip x": 0.5, "flip y": 0.5, "gamma": 0.5, "holes": 0.5, "affine": 0.75, "noise": 0.3, "intensity": 0.3}
    assert shares == pytest.approx(odds, abs=0.06)
    elastic = draws(SynapseNetAugmentation(affine=0.0), 300)
    assert np.mean([drawn.coordinates is not None for drawn in elastic]) == pytest.approx(0.5, abs=0.08)


def test_ranges_are_the_published_ones():
    found = draws(SynapseNetAugmentation(elastic=0.0), 1000)
    values = {
        name: np.array([getattr(drawn, name) for drawn in found]) for name in ("gamma", "noise", "scale", "shift")
    }
    for name, low, high in (("gamma", 0.7, 1.5), ("noise", 0, 0.1), ("scale", 0.8, 1.2), ("shift", -0.2, 0.2)):
        assert low <= values[name].min() < low + 0.05
        assert high - 0.05 < values[name].max() <= high
    holes = [hole for drawn in found for hole in drawn.holes]
    assert {len(drawn.holes) for drawn in found} == {0, 4, 5, 6, 7, 8}
    sides = {stop - start for x, x_stop, y, y_stop in holes for start, stop in ((x, x_stop), (y, y_stop))}
    assert sides == set(range(10, 21))
    assert all(0 <= x < x_stop <= 24 and 0 <= y < y_stop <= 28 for x, x_stop, y, y_stop in holes)


def test_affine_ranges_are_the_published_ones():
    """The matrix is read back from where three voxels are looked up."""
    angles, scales = [], []
    for drawn in draws(SynapseNetAugmentation(affine=1.0, elastic=0.0)):
        at = drawn.coordinates
        matrix = np.stack([at[:, 1, 0] - at[:, 0, 0], at[:, 0, 1] - at[:, 0, 0]], axis=1)
        angles.append(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0])))
        scales.append(1 / np.sqrt(np.linalg.det(matrix)))
    assert 19.5 < np.abs(angles).max() <= 20
    assert 0.8 <= min(scales) < 0.81
    assert 1.19 < max(scales) <= 1.2


def test_translation_is_a_share_of_half_the_slice():
    still = SynapseNetAugmentation(affine=1.0, elastic=0.0, rotation_degrees=0.0, scale_range=(1.0, 1.0))
    moves = np.array([drawn.coordinates[:, 0, 0] for drawn in draws(still, 300, (24, 29))])
    limits = 0.15 * np.array([12, 14])
    assert (np.abs(moves).max(axis=0) <= limits).all()
    np.testing.assert_allclose(np.abs(moves).max(axis=0), limits, rtol=0.05)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("border", ["nearest", "mirror"])
def test_image_and_label_move_together(seed: int, border: str):
    """Away from edges, where interpolation mixes, the moved image says the same as the moved label."""
    image, label = phantom()
    moving = SynapseNetAugmentation(affine=1.0, elastic=float(seed % 2), border=border)
    drawn = replace(STILL, flips=(seed % 3 == 0, seed % 5 == 0), coordinates=moving.draw(
        SHAPE, np.random.default_rng(seed)).coordinates)  # fmt: skip
    moved, moved_label = moving.apply(drawn, image, label=label)
    at = drawn.coordinates
    is_inside = np.logical_and.reduce([(axis >= 0) & (axis <= size - 1) for axis, size in zip(at, SHAPE, strict=True)])
    mixed = (moved[0] > 0.01) & (moved[0] < 0.99)
    agrees = (moved[0] > 0.5) == (moved_label == 1)
    assert agrees[is_inside & ~mixed].all()
    assert moved_label.sum() > 200
    np.testing.assert_allclose(moved[1], -2 - moved[0], atol=1e-5)


def test_the_order_is_flip_then_affine_then_elastic():
    """A lookup through the drawn coordinates of the flipped image is all that geometry does."""
    image, label = phantom()
    (moving,) = draws(SynapseNetAugmentation(affine=1.0, elastic=1.0), 1, SHAPE)
    drawn = replace(STILL, coordinates=moving.coordinates, flips=(True, False))
    moved, moved_label = PUBLISHED.apply(drawn, image, label=label)
    flipped, _ = PUBLISHED.apply(replace(STILL, flips=(True, False)), image, label=label)
    again, again_label = PUBLISHED.apply(replace(drawn, flips=(False, False)), flipped, label=np.flip(label, 0).copy())
    np.testing.assert_array_equal(again, moved)
    np.testing.assert_array_equal(again_label, moved_label)


def test_flips_are_exact():
    image, label = phantom()
    moved, moved_label = PUBLISHED.apply(replace(STILL, flips=(True, True)), image, label=label)
    np.testing.assert_array_equal(moved, image[:, ::-1, ::-1])
    np.testing.assert_array_equal(moved_label, label[::-1, ::-1])


def test_nothing_drawn_changes_nothing_and_inputs_stay():
    image, label = phantom()
    before = image.copy(), label.copy()
    moved, moved_label = PUBLISHED.apply(STILL, image, label=label)
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(moved_label, label)
    for seed in range(10):
        PUBLISHED(image, label, generator=np.random.default_rng(seed))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(label, before[1])


def test_signed_slices_stay_finite_float32():
    generator = np.random.default_rng(0)
    label = np.zeros(SHAPE, np.uint8)
    for image in (generator.normal(-3, 2, (2, *SHAPE)), np.zeros((2, *SHAPE)), np.full((2, *SHAPE), -5.0)):
        for seed in range(30):
            moved, moved_label = PUBLISHED(image.astype(np.float32), label, generator=np.random.default_rng(seed))
            assert np.isfinite(moved).all()
            assert (moved.dtype, moved_label.dtype) == (np.float32, np.uint8)


def test_gamma_keeps_range_and_order():
    image = np.random.default_rng(0).normal(0, 1, (2, *SHAPE)).astype(np.float32)
    label = np.zeros(SHAPE, np.uint8)
    for gamma in (0.7, 1.5):
        moved, _ = PUBLISHED.apply(replace(STILL, gamma=gamma), image, label=label)
        assert (moved.min(), moved.max()) == pytest.approx((image.min(), image.max()), abs=1e-5)
        order = np.argsort(image, axis=None)
        assert (np.diff(moved.ravel()[order]) >= -1e-6).all()
        assert (moved.mean() > image.mean()) == (gamma < 1)


def test_noise_is_a_share_of_the_range():
    image = np.stack([np.linspace(-5, 15, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)] * 2)
    label = np.zeros(SHAPE, np.uint8)
    moved, _ = PUBLISHED.apply(replace(STILL, noise=0.05, noise_seed=4), image, label=label)
    assert (moved - image).std() == pytest.approx(0.05 * 20, rel=0.03)


@pytest.mark.parametrize("erases", [False, True])
def test_holes_keep_the_label_unless_asked_not_to(erases: bool):
    image, label = phantom()
    augmentation = SynapseNetAugmentation(holes_erase_label=erases)
    moved, moved_label = augmentation.apply(replace(STILL, holes=((10, 30, 10, 25),)), image, label=label)
    assert not moved[:, 10:30, 10:25].any()
    assert moved_label[10:30, 10:25].any() == (not erases)
    changed = (moved != image).any(axis=0)
    assert not changed[30:].any()
    assert not changed[:, 25:].any()


def test_the_same_generator_is_the_same_sample():
    image, label = phantom()
    first, second = (PUBLISHED(image, label, generator=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[0], PUBLISHED(image, label, generator=np.random.default_rng(8))[0])


def test_elastic_displacements_are_the_published_ones():
    """Uniform noise in (-1, 1), smoothed with sigma 12, times 100; the spread is that of our own smoothing of it."""
    elastic = SynapseNetAugmentation(affine=0.0, elastic=1.0)
    moves = np.stack([drawn.coordinates - np.indices(SHAPE) for drawn in draws(elastic, 40, SHAPE)])
    field = np.random.default_rng(1).uniform(-1, 1, (40, *SHAPE))
    expected = np.stack([gaussian_filter(part, 12, mode="constant") for part in field]) * 100
    assert moves.std() == pytest.approx(expected.std(), rel=0.1)


def test_no_lesion_appears_from_beyond_the_border():
    """A lesion at the border is not mirrored into the slice without a label."""
    image, label = (np.zeros((1, *SHAPE), np.float32), np.zeros(SHAPE, np.uint8))
    image[0, 2:6, 30:40], label[2:6, 30:40] = 1, 1
    coordinates = np.indices(SHAPE) - np.array([12.0, 0.0])[:, None, None]
    drawn = replace(STILL, coordinates=coordinates)
    for border, unlabelled in (("nearest", False), ("mirror", True)):
        moved, moved_label = SynapseNetAugmentation(border=border).apply(drawn, image, label=label)
        alone = (moved[0] > 0.5) & ~binary_dilation(moved_label == 1, iterations=2)
        assert alone.any() == unlabelled
