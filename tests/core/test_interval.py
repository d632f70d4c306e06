import math
import statistics

import numpy as np
import pytest

from lesionlab.core.interval import expanded_level, mean_interval


@pytest.mark.parametrize("values", [[0.0] * 5, [1.0, 1.0, 1.0], [0.1 + 0.2, 0.3, 0.3]])
def test_equal_values_have_an_interval_of_no_width(values: list[float]) -> None:
    found = mean_interval(values)
    assert found.low == found.high == pytest.approx(values[0])


@pytest.mark.parametrize("values", [[0.0, 0.0, 1.0], [0.0] * 40 + [1.0], [1e-9, 0.0, 0.0, 5e3], [0.5, 0.6, 0.7]])
def test_skewed_values_have_an_interval_around_their_mean(values: list[float]) -> None:
    found = mean_interval(values)
    assert min(values) <= found.low <= statistics.fmean(values) <= found.high <= max(values)
    assert found == mean_interval(values)


def test_two_values_are_too_few() -> None:
    assert math.isnan(mean_interval([0.2, 0.8]).low)


def test_a_patient_alone_is_a_group_of_one() -> None:
    values = [0.2, 0.5, 0.4, 0.9]
    assert mean_interval(values, groups=["a", "b", "c", "d"]) == mean_interval(values)


def test_scans_of_one_patient_count_as_one_patient() -> None:
    values = [0.2, 0.5, 0.4, 0.9]
    thrice = mean_interval(values * 3, groups=["a", "b", "c", "d"] * 3)
    once = mean_interval(values)
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    assert mean_interval(values * 3).high < thrice.high
    assert math.isnan(mean_interval(values, groups=["a", "a", "b", "b"]).low)


def test_the_level_is_raised_for_few_patients_only() -> None:
    assert 0.95 < expanded_level(10_000) < 0.9501
    assert expanded_level(30) == pytest.approx(0.9625, abs=5e-4)
    assert expanded_level(3) > expanded_level(30)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_the_interval_covers_the_true_mean_in_93_to_97_percent(kind: str) -> None:
    random = np.random.default_rng(0)
    studies, mean = (random.normal(size=(2000, 30)), 0) if kind == "normal" else (random.beta(8, 2, (2000, 30)), 0.8)
    found = [mean_interval(study.tolist()) for study in studies]
    assert 0.93 <= np.mean([interval.low <= mean <= interval.high for interval in found]) <= 0.97
