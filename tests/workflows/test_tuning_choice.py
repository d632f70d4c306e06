"""What validation cases cannot tell apart does not change a threshold."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lesionlab.core.postprocessing import Postprocessing
from lesionlab.workflows.tuning_choice import choose_setting, describe_choice, leave_one_out_means, warn_of_choice

THRESHOLDS, SIZES = (0.1, 0.3, 0.45, 0.5, 0.55, 0.9), (0.0, 10.0, 50.0)
CANDIDATES = [Postprocessing(threshold=t, smallest_lesion_mm3=s) for t, s in itertools.product(THRESHOLDS, SIZES)]
DEFAULT = CANDIDATES.index(Postprocessing())
SCORES = st.integers(1, 9).flatmap(
    lambda cases: arrays(float, (cases, len(CANDIDATES)), elements=st.floats(0, 1, width=16))
)


def choose(scores: np.ndarray) -> int:
    return choose_setting(CANDIDATES, scores.mean(axis=0), leave_one_out_means(scores)).place


def change(place: int) -> tuple[float, float]:
    return round(abs(CANDIDATES[place].threshold - 0.5), 6), CANDIDATES[place].smallest_lesion_mm3


@given(SCORES)
def test_the_least_change_of_what_is_not_distinguishable(scores: np.ndarray):
    place, means, cases = choose(scores), scores.mean(axis=0), len(scores)
    best = int(means.argmax())
    if cases == 1:
        assert place == DEFAULT
        return
    differences = scores[:, [best]] - scores
    errors = differences.std(axis=0, ddof=1) / np.sqrt(cases)
    assert differences[:, place].mean() <= errors[place] + 1e-9
    for other in range(len(CANDIDATES)):
        if change(other) < change(place):
            assert differences[:, other].mean() > errors[other] - 1e-9


@given(st.integers(2, 9), st.floats(0.05, 0.5))
def test_what_every_case_gains_by_is_chosen(cases: int, gain: float):
    scores = np.zeros((cases, len(CANDIDATES)))
    scores[:, 1] = gain + np.linspace(0, gain / 10, cases)
    assert choose(scores) == 1


def test_noise_changes_nothing():
    """Half a thousandth of Dice on a few patients throws no small lesions away."""
    scores = np.full((4, len(CANDIDATES)), 0.5)
    scores[0, CANDIDATES.index(Postprocessing(threshold=0.9, smallest_lesion_mm3=50.0))] += 0.002
    assert choose(scores) == DEFAULT


def test_a_score_that_is_not_defined_without_a_case_tells_nothing():
    scores = np.linspace(0, 1, len(CANDIDATES))
    choice = choose_setting(CANDIDATES, scores, np.full((6, len(CANDIDATES)), np.nan))
    assert choice.place == DEFAULT
    assert describe_choice(choice, scores, score="f1", cases="6 of 6 validation cases") == (
        "least change among settings within one standard error of the highest f1 (1.000) of 6 of 6 validation cases"
    )


@pytest.mark.parametrize(
    ("setting", "cases", "said"),
    [
        ((0.5, 0.0), 5, []),
        ((0.5, 0.0), 4, ["only 4 validation cases"]),
        ((0.5, 0.0), 1, ["one validation case cannot tell settings apart"]),
        ((0.9, 0.0), 8, ["threshold 0.9 is the last one"]),
        ((0.1, 50.0), 8, ["threshold 0.1 is the last one", "smallest lesion 50 mm3 is the last one"]),
    ],
)
def test_what_is_uncertain_is_said(
    setting: tuple[float, float], cases: int, said: list[str], caplog: pytest.LogCaptureFixture
):
    tuned = Postprocessing(threshold=setting[0], smallest_lesion_mm3=setting[1])
    warn_of_choice(tuned, cases=cases, thresholds=THRESHOLDS, smallest_lesions_mm3=SIZES)
    assert len(caplog.messages) == len(said)
    assert all(words in message for words, message in zip(said, caplog.messages, strict=True))


def test_the_smallest_lesion_of_pictures_is_in_pixels(caplog: pytest.LogCaptureFixture):
    tuned = Postprocessing(threshold=0.5, smallest_lesion_mm3=50.0)
    warn_of_choice(tuned, cases=8, thresholds=THRESHOLDS, smallest_lesions_mm3=SIZES, size_unit="px")
    assert "the smallest lesion 50 px is the last one" in caplog.text
