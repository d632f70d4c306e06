"""Probabilities of categories: what flips do, and that left and right are told apart by the affine alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from category_cohort import AFFINE, head, write_table
from tiny_training import save

from lesionlab.engine.category_predictor import CategoryPredictor, category_probabilities
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.layouts.opening import open_layout
from lesionlab.networks.saca_swin_classifier import SacaSwinClassifier
from lesionlab.workflows.train import Trained

SIZE = (40, 32, 32)


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"width": 3, "heads": (1, 1, 2, 2), "window": 3, "symmetry_heads": 4}
    return SacaSwinClassifier(modalities=1, regions=3, **options).eval()


def probabilities(module: torch.nn.Module, image: np.ndarray, *, flips: bool) -> np.ndarray:
    return category_probabilities(module, image, size=SIZE, background=(0.0,), flips=flips)


def test_probabilities_add_up_to_one(module: torch.nn.Module):
    found = probabilities(module, head(1, is_ill=True)[None] / 100, flips=False)
    assert found.shape == (3,)
    assert found.sum() == pytest.approx(1)


def test_flips_make_left_and_right_alike(module: torch.nn.Module):
    image = head(1, is_ill=True)[None] / 100
    one, other = (probabilities(module, view, flips=False) for view in (image, image[:, ::-1]))
    assert not np.allclose(one, other, atol=1e-6)
    for view in (image, image[:, ::-1]):
        np.testing.assert_allclose(probabilities(module, view, flips=True), (one + other) / 2, atol=1e-6)


def test_the_order_of_axes_in_a_file_changes_nothing(classifier: Trained, tmp_path: Path):
    image = head(5, is_ill=True)
    turned = AFFINE.copy()
    turned[0, 0], turned[0, 3] = 2.0, -2.0 * (image.shape[0] - 1)
    save(tmp_path / "a.nii.gz", image, AFFINE)
    save(tmp_path / "b.nii.gz", image[::-1], turned)
    data = write_table(tmp_path, [{"id": name, "t1": f"{name}.nii.gz"} for name in "ab"])
    predictor = CategoryPredictor(open_checkpoint(classifier.folder), flips=False)
    one, other = (predictor.predict(case) for case in open_layout(data)[1].cases())
    np.testing.assert_allclose(one, other, atol=1e-5)
