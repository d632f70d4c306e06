"""Intensities come to one scale, whatever the air around the head holds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlab.transforms.normalise import (
    find_foreground,
    normalise,
    normalise_picture,
    to_unit_range,
    usual_normalisation,
)


def test_agrees_with_the_published_script(parity: Path):
    golden = torch.load(parity / "synapse_numeric.pt", weights_only=True)["preprocess"]
    volume = golden["volume"].numpy()
    foreground = find_foreground(volume, rule="above_minimum")
    np.testing.assert_allclose(
        normalise(volume, foreground, percentiles=(2.0, 98.0)), golden["zscore_2_98"].numpy(), atol=1e-5
    )


def head(noise: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    inside = np.zeros((40, 40, 10), bool)
    inside[10:30, 8:32, 1:9] = True
    image = np.where(inside, 300.0, 20.0) + generator.normal(0, noise, inside.shape)
    return image.astype(np.float32), inside


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_noisy_air_is_no_foreground(noise: float):
    image, inside = head(noise)
    np.testing.assert_array_equal(find_foreground(image, rule="above_background"), inside)


@pytest.mark.parametrize("sigma", [10.0, 20.0, 30.0])
def test_the_noise_of_a_magnitude_image_is_air(sigma: float):
    _, inside = head(0.0)
    noise = np.random.default_rng(1).normal(0, sigma, (2, *inside.shape))
    magnitude = np.hypot(np.where(inside, 400.0, 0.0) + noise[0], noise[1]).astype(np.float32)
    foreground = find_foreground(magnitude, rule="above_background")
    assert foreground[inside].all()
    assert foreground[~inside].mean() < 0.4


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 120.0), (1e7, 1e9), (0.01, 1.0), (1.0, -500.0)])
def test_air_is_found_whatever_was_added_to_all_values(factor: float, offset: float):
    image, inside = head(3.0)
    np.testing.assert_array_equal(
        find_foreground(image * np.float32(factor) + np.float32(offset), rule="above_background"), inside
    )


def test_one_dark_voxel_misleads_only_the_published_rule():
    image, inside = head(3.0)
    image[20, 20, 5] = -500
    assert find_foreground(image, rule="above_minimum").sum() == inside.size - 1
    assert find_foreground(image, rule="above_background").sum() == inside.sum() - 1


@pytest.mark.parametrize("padding", [0.0, -1024.0, 100.0])
def test_constant_padding_is_no_foreground(padding: float):
    image, inside = head(3.0)
    image = np.where(inside, image + max(0.0, padding), padding)
    np.testing.assert_array_equal(find_foreground(image, rule="above_background"), inside)


@given(
    edge=st.floats(150, 900),
    middle=st.floats(150, 900),
    noise=st.floats(0.02, 0.035),
    texture=st.floats(10, 14),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=40)
def test_tissue_at_the_edges_is_foreground(edge: float, middle: float, noise: float, texture: float, seed: int):
    """Its texture, here in multiples of the noise and of mean brightness at the edges, tells it from air."""
    texture *= noise
    generator = np.random.default_rng(seed)
    x, y, _ = np.indices((40, 40, 8))
    image = np.where((abs(x - 20) < 9) & (abs(y - 20) < 12), middle, edge)
    image = image * (1 + texture * np.sin(x / 3.1)) + edge * noise * generator.normal(size=image.shape)
    assert find_foreground(image.astype(np.float32), rule="above_background").all()


def test_a_bright_background_is_not_taken_for_air():
    image, inside = head(3.0)
    image[~inside] = 1000
    assert find_foreground(image, rule="above_background").all()


def test_ct_of_tissue_alone_has_no_air():
    generator = np.random.default_rng(0)
    image = generator.normal(40, 12, (40, 40, 8)).astype(np.float32)
    image[15:25, 15:25] += 800
    assert find_foreground(image, rule="above_background", modality="ct").all()
    image[[0, 1, 2, 3, 4, 35, 36, 37, 38, 39]] = generator.normal(-1000, 12, (10, 40, 8))
    image[:, [0, 1, 2, 3, 4, 35, 36, 37, 38, 39]] = generator.normal(-1000, 12, (40, 10, 8))
    assert 0.5 < find_foreground(image, rule="above_background", modality="ct").mean() < 0.6


@pytest.mark.parametrize("rule", ["above_background", "above_minimum"])
@pytest.mark.parametrize("value", [-50.0, 0.0, 1.0, 3e4])
def test_a_constant_image_is_nothing(rule: str, value: float):
    image = np.full((9, 8, 7), value, np.float32)
    foreground = find_foreground(image, rule=rule)
    assert not foreground.any()
    assert not normalise(image, foreground, percentiles=(2.0, 98.0)).any()


def test_a_constant_foreground_is_nothing():
    image, inside = head(0.0)
    assert not normalise(image, inside, percentiles=(2.0, 98.0)).any()


def test_foreground_has_mean_0_and_deviation_1_and_air_its_lowest_value():
    image, inside = head(25.0)
    normalised = normalise(image, inside, percentiles=(2.0, 98.0))
    assert normalised[inside].mean() == pytest.approx(0, abs=1e-5)
    assert normalised[inside].std() == pytest.approx(1, abs=1e-5)
    assert set(normalised[~inside].tolist()) == {float(normalised.min())}


@pytest.mark.parametrize(("factor", "offset"), [(0.01, 0.0), (40.0, 900.0)])
def test_the_scanner_s_scale_does_not_matter(factor: float, offset: float):
    image, inside = head(25.0)
    other = (image * factor + offset).astype(np.float32)
    np.testing.assert_allclose(
        normalise(other, inside, percentiles=(2.0, 98.0)),
        normalise(image, inside, percentiles=(2.0, 98.0)),
        atol=1e-3,
    )


def test_each_kind_of_modality_has_its_usual_way():
    ways = {name: usual_normalisation(name) for name in ("flair", "dwi", "ct", "red", "grey")}
    assert ways == {
        "flair": "z_score", "dwi": "z_score", "ct": "unit_range", "red": "picture", "grey": "picture"
    }  # fmt: skip


def test_a_window_becomes_0_to_1():
    image = np.array([-1000, -160, 40, 240, 3000], np.float32).reshape(5, 1, 1)
    assert to_unit_range(image, ends=(-160.0, 240.0)).ravel().tolist() == [0, 0, 0.5, 1, 1]
    assert not to_unit_range(image, ends=(5.0, 5.0)).any()


def test_a_picture_gets_the_scale_of_imagenet():
    image = np.full((2, 2, 1), 255 * 0.485, np.float32)
    np.testing.assert_allclose(normalise_picture(image, modality="red"), 0, atol=1e-6)
    np.testing.assert_allclose(
        normalise_picture(image, modality="ultrasound"), normalise_picture(image, modality="grey")
    )


def test_a_picture_has_no_background():
    assert find_foreground(np.zeros((4, 4, 1), np.float32), rule="everything").all()
