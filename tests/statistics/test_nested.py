import numpy as np
import pytest

from lesionlab.core.interval import mean_interval
from lesionlab.statistics.nested import difference_interval


def test_one_seed_each_is_the_interval_of_the_differences() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((1, 20)), rng.random((1, 20))
    assert difference_interval(first, second) == mean_interval((first - second)[0].tolist())


def test_equal_seeds_add_nothing_and_unlike_ones_widen() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.7, 0.05, 30), rng.normal(0.6, 0.05, 30)
    single = mean_interval((first - second).tolist())
    same = difference_interval(np.stack([first] * 3), np.stack([second] * 2))
    assert same.low == pytest.approx(single.low, abs=3e-3)
    assert same.high == pytest.approx(single.high, abs=3e-3)
    unlike = difference_interval(first + np.array([[-0.1], [0.0], [0.1]]), second[None])
    assert unlike.high - unlike.low > 2 * (same.high - same.low)


def test_two_patients_are_too_few() -> None:
    assert np.isnan(difference_interval(np.zeros((2, 2)), np.ones((1, 2))).low)


@pytest.mark.slow
def test_the_interval_over_patients_and_seeds_covers_at_least_as_often_as_it_says() -> None:
    """Ten trainings of two models on 30 patients; patient, seed and rest each vary."""
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(100):
        shared = rng.normal(0, 0.1, 30)
        first, second = (shared + rng.normal(0, 0.02, (10, 1)) + rng.normal(0, 0.1, (10, 30)) for _ in range(2))
        interval = difference_interval(first, second)
        hits.append(interval.low <= 0 <= interval.high)
    assert np.mean(hits) >= 0.93
