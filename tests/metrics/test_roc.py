"""Areas and their intervals against sums over all pairs, as their papers write them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlab.metrics.roc import area_under_curve, characteristic, delong_area, resampled_areas


def drawn(seed: int, cases: int, *, levels: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return scores with many ties, and which cases have the class: at least two have it and two do not."""
    generator = np.random.default_rng(seed)
    has_class = generator.random(cases) < 0.4
    has_class[:2], has_class[2:4] = True, False
    return generator.integers(0, levels, cases) / levels + 0.3 * has_class, has_class


def order(scores: np.ndarray, has_class: np.ndarray) -> np.ndarray:
    """Return 1, 0.5 or 0 for every pair of a case of the class and another."""
    inside, outside = scores[has_class][:, None], scores[~has_class][None]
    return (inside > outside) + 0.5 * (inside == outside)


cases = given(seed=st.integers(0, 10_000), count=st.integers(4, 40))


@settings(max_examples=40)
@cases
def test_area_is_the_share_of_pairs_in_order(seed: int, count: int):
    scores, has_class = drawn(seed, count)
    assert area_under_curve(scores, has_class) == pytest.approx(order(scores, has_class).mean(), abs=1e-12)


@settings(max_examples=40)
@cases
def test_delong_is_the_variance_of_structural_components(seed: int, count: int):
    scores, has_class = drawn(seed, count)
    pairs = order(scores, has_class)
    variance = pairs.mean(axis=1).var(ddof=1) / len(pairs) + pairs.mean(axis=0).var(ddof=1) / pairs.shape[1]
    area = delong_area(scores, has_class, groups=[str(number) for number in range(count)])
    assert area.standard_error == pytest.approx(math.sqrt(variance), abs=1e-12)
    assert area.low == pytest.approx(max(0, area.value - 1.959963984540054 * area.standard_error), abs=1e-12)
    assert area.high == pytest.approx(min(1, area.value + 1.959963984540054 * area.standard_error), abs=1e-12)


@settings(max_examples=40)
@cases
def test_visits_of_a_patient_are_not_independent(seed: int, count: int):
    """The sums of Obuchowski's paper, patient by patient."""
    scores, has_class = drawn(seed, count)
    groups = np.random.default_rng(seed).integers(0, max(4, count // 3), count)
    groups[:4] = [0, 1, 2, 3]
    pairs = order(scores, has_class)
    area, inside, outside = pairs.mean(), pairs.mean(axis=1) - pairs.mean(), pairs.mean(axis=0) - pairs.mean()
    sums = [
        (inside[groups[has_class] == one].sum() / len(inside), outside[groups[~has_class] == one].sum() / len(outside))
        for one in np.unique(groups)
    ]
    with_class, without, everyone = (len(np.unique(part)) for part in (groups[has_class], groups[~has_class], groups))
    variance = (
        with_class / (with_class - 1) * sum(one**2 for one, _ in sums)
        + without / (without - 1) * sum(other**2 for _, other in sums)
        + 2 * everyone / (everyone - 1) * sum(one * other for one, other in sums)
    )
    found = delong_area(scores, has_class, groups=[f"p{one}" for one in groups])
    assert found.value == pytest.approx(area)
    assert found.standard_error == pytest.approx(math.sqrt(max(0, variance)), abs=1e-9)


@settings(max_examples=40)
@cases
def test_the_curve_encloses_the_area(seed: int, count: int):
    scores, has_class = drawn(seed, count)
    curve = characteristic(scores, has_class)
    assert (curve.false_positive_rate[0], curve.sensitivity[0]) == (0, 0)
    assert (curve.false_positive_rate[-1], curve.sensitivity[-1]) == (1, 1)
    assert np.trapezoid(curve.sensitivity, curve.false_positive_rate) == pytest.approx(
        area_under_curve(scores, has_class)
    )
    for rate, threshold in zip(curve.sensitivity, curve.threshold, strict=True):
        assert rate == pytest.approx((scores[has_class] >= threshold).mean())


@settings(max_examples=20)
@cases
def test_turned_scores_turn_the_area(seed: int, count: int):
    scores, has_class = drawn(seed, count)
    assert area_under_curve(-scores, has_class) == pytest.approx(1 - area_under_curve(scores, has_class))
    assert area_under_curve(np.exp(scores), has_class) == pytest.approx(area_under_curve(scores, has_class))


@settings(max_examples=20)
@cases
def test_a_case_that_counts_twice_is_there_twice(seed: int, count: int):
    scores, has_class = drawn(seed, count)
    weights = np.random.default_rng(seed).integers(0, 3, (3, count)).astype(float)
    weights[:, :4] = 1
    found = resampled_areas(scores, has_class, weights=weights)
    for draw, row in enumerate(weights.astype(int)):
        again = np.repeat(np.arange(count), row)
        assert found[draw] == pytest.approx(area_under_curve(scores[again], has_class[again]))


@pytest.mark.parametrize("has_class", [[True, True], [False, False]])
def test_one_class_alone_has_no_area(has_class: list[bool]):
    found = delong_area(np.array([0.1, 0.2]), np.array(has_class), groups=["a", "b"])
    assert math.isnan(found.value)
    assert math.isnan(found.low)


def test_a_single_patient_of_a_class_leaves_the_interval_open():
    found = delong_area(np.array([0.9, 0.2, 0.3]), np.array([True, False, False]), groups=["a", "b", "c"])
    assert found.value == 1
    assert math.isnan(found.standard_error)


@pytest.mark.slow
def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Two normal distributions one standard deviation apart: the area is Phi(1 / sqrt 2)."""
    generator = np.random.default_rng(0)
    truth, groups = 0.7602499389065233, [str(number) for number in range(80)]
    has_class = np.arange(80) < 40
    areas = [delong_area(generator.normal(size=80) + has_class, has_class, groups=groups) for _ in range(2000)]
    assert np.mean([area.low <= truth <= area.high for area in areas]) == pytest.approx(0.95, abs=0.02)
