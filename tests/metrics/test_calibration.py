import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from lesionlab.metrics.calibration import around, calibrate


def test_probabilities_that_mean_what_they_say_have_no_error() -> None:
    random = np.random.default_rng(0)
    said = random.random((60, 60, 60))
    measured = calibrate(said, random.random(said.shape) < said, inside=np.ones(said.shape, dtype=bool))
    assert measured.ece < 0.01
    assert len(measured.said) == len(measured.true) == 15


def test_scores_equal_scikit_learns() -> None:
    random = np.random.default_rng(1)
    said, true = random.random((9, 9, 9)), random.random((9, 9, 9)) < 0.3
    measured = calibrate(said, true, inside=np.ones(said.shape, dtype=bool))
    assert measured.brier == pytest.approx(brier_score_loss(true.ravel(), said.ravel()), abs=1e-12)
    assert measured.negative_log_likelihood == pytest.approx(log_loss(true.ravel(), said.ravel()), abs=1e-9)


def test_confident_nonsense_is_seen_inside_the_mask_and_hidden_outside() -> None:
    said, true = np.zeros((30, 30, 30)), np.zeros((30, 30, 30), dtype=bool)
    true[10:14, 10:14, 10:14] = True
    said[12:16, 10:14, 10:14] = 0.99
    everywhere = calibrate(said, true, inside=np.ones(true.shape, dtype=bool))
    near = calibrate(said, true, inside=around(true, spacing_mm=(1.0, 1.0, 1.0), margin_mm=2.0))
    assert near.brier > 10 * everywhere.brier


def test_an_empty_mask_gives_nothing() -> None:
    empty = np.zeros((3, 3, 3), dtype=bool)
    assert math.isnan(calibrate(np.zeros((3, 3, 3)), empty, inside=empty).ece)
    assert around(empty, spacing_mm=(1.0, 1.0, 1.0), margin_mm=1.0).all()


@given(st.integers(0, 10**6), st.integers(1, 40))
def test_voxels_of_one_probability_stay_together(seed: int, levels: int) -> None:
    """Calibrated level by level is calibrated, wherever the true voxels lie."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 30, levels) * levels
    said = np.repeat(np.arange(levels) / levels, counts)
    true = np.concatenate([np.arange(count) < level * count / levels for level, count in enumerate(counts)])
    order = random.permutation(said.size)
    measured = calibrate(said[order], true[order], inside=np.ones(said.size, dtype=bool))
    assert measured.ece == pytest.approx(0, abs=1e-12)
    assert len(measured.said) <= 15
