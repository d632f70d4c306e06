"""The general augmentation: geometry by one resampling, the label always with its image."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from lesionlab.transforms.spatial_and_intensity import PARTS, SpatialAndIntensity
from lesionlab.transforms.warp import Warp, look_up, turn_matrix

NOTHING = dict.fromkeys(PARTS, 0.0)
SHAPES = [(40, 48), (40, 40, 32)]


def phantom(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return an image whose first modality is a smooth version of its label."""
    label = np.zeros(shape, np.uint8)
    label[10:24, 12:30] = 1
    label[20:30, 25:36] = 1
    if len(shape) == 3:
        label[..., :8], label[..., -8:] = 0, 0
    smooth = gaussian_filter(label.astype(np.float32), 1.0)
    return np.stack([smooth, -2 - smooth]), label


def only(**options: object) -> SpatialAndIntensity:
    return SpatialAndIntensity(**{**NOTHING, **options})


@pytest.mark.parametrize("shape", SHAPES)
def test_an_affine_look_up_is_that_of_scipy(shape: tuple[int, ...]) -> None:
    image, label = phantom(shape)
    axes = len(shape)
    angles = (13.0,) if axes == 2 else (13.0, 4.0, -6.0)
    matrix = turn_matrix(angles, magnification=np.full(axes, 1.1), shears=np.full(axes, 0.05))
    offset = np.array([1.5, -2.0, 0.5])[:axes]
    found, found_label = look_up(Warp(matrix=matrix, offset=offset), image, label=label, border="nearest")
    centre = (np.array(shape) - 1) / 2
    shift = centre - matrix @ centre + offset
    wanted = affine_transform(image[0], matrix, shift, order=1, mode="nearest")
    np.testing.assert_allclose(found[0], wanted, atol=2e-4)
    wanted_label = affine_transform(label, matrix, shift, order=0, mode="constant")
    assert np.mean(found_label != wanted_label) < 2e-3


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "options",
    [
        {"flip": 1.0},
        {"affine": 1.0, "tilt_degrees": 10.0},
        {"elastic": 1.0},
        {"quarter_turn": 1.0},
        {"affine": 1.0, "elastic": 1.0, "flip": 0.5, "shear_degrees": 10.0, "translation": 0.05},
    ],
)
def test_the_label_goes_where_its_image_goes(shape: tuple[int, ...], options: dict[str, float]) -> None:
    image, label = phantom(shape)
    for seed in range(3):
        moved, moved_label = only(**options)(image, label, generator=np.random.default_rng(seed))
        assert moved.shape == image.shape
        inside, outside = moved[0] > 0.75, moved[0] < 0.25
        assert moved_label[inside].mean() > 0.98
        assert moved_label[outside].mean() < 0.02
        np.testing.assert_allclose(moved[1], -2 - moved[0], atol=1e-5)


def test_all_flips_together_reverse_every_axis() -> None:
    image, label = phantom(SHAPES[1])
    moved, moved_label = only(flip=1.0)(image, label, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(moved, image[:, ::-1, ::-1, ::-1])
    np.testing.assert_array_equal(moved_label, label[::-1, ::-1, ::-1])


def test_only_the_named_axes_are_flipped() -> None:
    image, label = phantom(SHAPES[0])
    moved, _ = only(flip=1.0, flip_axes=(0,))(image, label, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(moved, image[:, ::-1])


@pytest.mark.parametrize("part", ["blur", "noise", "gamma", "intensity", "holes"])
def test_intensities_change_without_the_label(part: str) -> None:
    image, label = phantom(SHAPES[0])
    changed, same = only(**{part: 1.0})(image, label, generator=np.random.default_rng(1))
    np.testing.assert_array_equal(same, label)
    assert np.isfinite(changed).all()
    assert not np.array_equal(changed, image)


def test_nothing_asked_for_changes_nothing_and_inputs_stay() -> None:
    image, label = phantom(SHAPES[1])
    before = image.copy(), label.copy()
    for augment in (only(), SpatialAndIntensity(affine=1.0, elastic=1.0, holes=1.0)):
        augment(image, label, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(only()(image, label, generator=np.random.default_rng(0))[0], image)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(label, before[1])


def test_at_most_limits_the_number_of_parts() -> None:
    augment = SpatialAndIntensity(at_most=2, **dict.fromkeys(NOTHING, 1.0))
    generator = np.random.default_rng(0)
    counts = [sum(odds > 0 for odds in augment._odds(generator).values()) for _ in range(300)]
    assert np.bincount(counts) / 300 == pytest.approx([1 / 3] * 3, abs=0.1)


def test_a_constant_image_stays_finite() -> None:
    image, label = np.zeros((1, 16, 16), np.float32), np.zeros((16, 16), np.uint8)
    changed, _ = SpatialAndIntensity(gamma=1.0, blur=1.0)(image, label, generator=np.random.default_rng(0))
    assert np.isfinite(changed).all()


def test_a_block_one_voxel_thick_is_a_slice() -> None:
    image, label = phantom(SHAPES[0])
    augment = only(affine=1.0, flip=0.5, elastic=1.0, noise=1.0)
    flat, flat_label = augment(image, label, generator=np.random.default_rng(0))
    thick, thick_label = augment(image[..., None], label[..., None], generator=np.random.default_rng(0))
    np.testing.assert_array_equal(thick[..., 0], flat)
    np.testing.assert_array_equal(thick_label[..., 0], flat_label)
