"""Intensities come to one scale, whatever the air around the head holds."""

from pathlib import Path

import numpy as np
import pytest
import torch

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


def test_one_dark_voxel_misleads_only_the_published_rule():
    image, inside = head(3.0)
    image[20, 20, 5] = -500
    assert find_foreground(image, rule="above_minimum").sum() == inside.size - 1
    assert find_foreground(image, rule="above_background").sum() == inside.sum() - 1


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
