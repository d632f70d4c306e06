"""Masks from probabilities: thresholds, smallest lesions, stored values."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from lesionlab.core.postprocessing import Postprocessing
from lesionlab.engine.postprocess import remove_small_lesions, to_label_map, to_masks

BRATS = {"wt": (1, 2, 3), "tc": (1, 3), "et": (3,)}


def by_hand(mask: np.ndarray, smallest: float) -> np.ndarray:
    lesions, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(mask, lesions, range(1, count + 1))
    return np.isin(lesions, 1 + np.flatnonzero(np.atleast_1d(sizes) >= smallest))


def test_agrees_with_the_published_post_processing(parity: Path):
    metrics = torch.load(parity / "synapse_numeric.pt", weights_only=True)["metrics"]
    masks = {smallest: mask.numpy().astype(bool) for smallest, mask in metrics["post"].items()}
    assert len({mask.sum() for mask in masks.values()}) > 2
    for smallest, expected in masks.items():
        np.testing.assert_array_equal(remove_small_lesions(masks[1], smallest_voxels=float(smallest)), expected)


@given(st.integers(0, 10**6), st.sampled_from([(9, 8, 7), (12, 1, 1), (1, 1, 30), (6, 7, 1)]), st.integers(2, 6))
def test_agrees_with_scipy_on_any_view(seed: int, shape: tuple[int, int, int], smallest: int):
    """Lines of voxels, mirrored and transposed views: where cc3d needs a whole copy."""
    mask = np.random.default_rng(seed).random(shape) < 0.25
    for view in (mask, mask[::-1], mask[..., ::-1], mask.T, np.asfortranarray(mask)):
        np.testing.assert_array_equal(
            remove_small_lesions(view, smallest_voxels=float(smallest)), by_hand(view, smallest)
        )


def test_nothing_stays_nothing():
    mask = np.zeros((4, 4, 4), bool)
    assert not remove_small_lesions(mask, smallest_voxels=5.0).any()


@pytest.mark.parametrize(("smallest_mm3", "left"), [(0.0, 6), (3.3, 6), (3.4, 5), (16.5, 5), (16.6, 0)])
def test_sizes_are_in_cubic_millimetres(smallest_mm3: float, left: int):
    probabilities = np.zeros((1, 10, 4, 3), np.float32)
    probabilities[0, 0, 0, 0] = probabilities[0, 4:9, 0, 0] = 0.7
    settings = Postprocessing(threshold=0.6, smallest_lesion_mm3=smallest_mm3)
    masks = to_masks(probabilities, settings, voxel_volume_mm3=1.0 * 1.1 * 3.0)
    assert masks.shape == probabilities.shape
    assert masks.sum() == left


def test_a_voxel_at_the_threshold_is_none():
    probabilities = np.full((1, 2, 2, 2), 0.5, np.float32)
    assert not to_masks(probabilities, Postprocessing(), voxel_volume_mm3=1.0).any()


@pytest.mark.parametrize(
    ("inside", "value"),
    [((), 0), (("wt",), 2), (("wt", "tc"), 1), (("wt", "tc", "et"), 3), (("tc",), 1), (("et",), 3)],
)
def test_overlapping_regions_become_stored_values(inside: tuple[str, ...], value: int):
    masks = np.array([region in inside for region in BRATS]).reshape(3, 1, 1, 1)
    assert to_label_map(masks, BRATS).item() == value


def test_the_declared_order_of_regions_does_not_matter():
    masks = np.random.default_rng(0).random((3, 4, 4, 4)) > 0.5
    turned = dict(reversed(BRATS.items()))
    np.testing.assert_array_equal(to_label_map(masks[::-1].copy(), turned), to_label_map(masks, BRATS))


def test_exclusive_regions_and_one_region():
    masks = np.array([[0, 1, 0], [0, 0, 1]], bool).reshape(2, 3, 1, 1)
    assert to_label_map(masks, {"a": (4,), "b": (2,)}).ravel().tolist() == [0, 4, 2]
    assert to_label_map(masks[:1], {"lesion": (1, 2)}).ravel().tolist() == [0, 1, 0]
