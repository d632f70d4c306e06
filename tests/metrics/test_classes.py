"""Rates and calibration against counting case by case."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlab.metrics import classes as of_classes

seeds = given(seed=st.integers(0, 10_000), kinds=st.integers(2, 4))


def drawn(seed: int, kinds: int, *, count: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(kinds), count)
    return probabilities, probabilities.argmax(axis=1), generator.integers(0, kinds, count)


@settings(max_examples=30)
@seeds
def test_rates_are_shares_of_counted_cases(seed: int, kinds: int):
    _, predicted, reference = drawn(seed, kinds)
    table = of_classes.confusion(reference, predicted, classes=kinds)
    for number in range(kinds):
        is_it, said_it = reference == number, predicted == number
        if is_it.any():
            assert of_classes.sensitivity(table)[0, number] == pytest.approx(said_it[is_it].mean())
            precise = (is_it & said_it).sum() / max(1, said_it.sum())
            found = (is_it & said_it).sum() / is_it.sum()
            wanted = 2 * precise * found / (precise + found) if precise + found else 0
            assert of_classes.f1(table)[0, number] == pytest.approx(wanted)
        assert of_classes.specificity(table)[0, number] == pytest.approx((~said_it[~is_it]).mean())
    assert of_classes.accuracy(table)[0] == pytest.approx((predicted == reference).mean())
    rates = [(predicted[reference == number] == number).mean() for number in np.unique(reference)]
    assert of_classes.balanced_accuracy(table)[0] == pytest.approx(np.mean(rates))


@settings(max_examples=30)
@seeds
def test_a_weight_is_a_repeated_case(seed: int, kinds: int):
    probabilities, predicted, reference = drawn(seed, kinds)
    weights = np.random.default_rng(seed).integers(0, 3, (2, len(reference))).astype(float)
    weights[:, 0] = 1
    said, came_true = of_classes.what_was_said(probabilities, reference)
    tables = of_classes.confusion(reference, predicted, classes=kinds, weights=weights)
    errors = of_classes.calibration_error(said, came_true, weights=weights)
    for draw, row in enumerate(weights.astype(int)):
        again = np.repeat(np.arange(len(row)), row)
        table = of_classes.confusion(reference[again], predicted[again], classes=kinds)[0]
        np.testing.assert_array_equal(tables[draw], table)
        assert errors[draw] == pytest.approx(of_classes.calibration_error(said[again], came_true[again])[0])


@settings(max_examples=30)
@seeds
def test_calibration_error_bin_by_bin(seed: int, kinds: int):
    probabilities, _, reference = drawn(seed, kinds)
    said, came_true = of_classes.what_was_said(probabilities, reference)
    bins = of_classes.calibration_bins(said, came_true)
    wanted = 0.0
    for number in range(10):
        inside = (said >= number / 10) & ((said < (number + 1) / 10) | (number == 9))
        assert bins.cases[number] == inside.sum()
        if inside.any():
            assert bins.happened[number] == pytest.approx(came_true[inside].mean())
            wanted += inside.mean() * abs(said[inside].mean() - came_true[inside].mean())
    assert of_classes.calibration_error(said, came_true)[0] == pytest.approx(wanted)


def test_brier_of_two_classes_is_the_usual_one():
    probabilities = np.array([[0.3, 0.7], [1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(of_classes.squared_errors(probabilities, np.array([1, 0, 1])), [0.09, 0, 1])
    three = np.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(of_classes.squared_errors(three, np.array([0])), [0.25 + 0.09 + 0.04])


def test_certain_and_wrong_costs_a_finite_log_loss():
    found = of_classes.log_losses(np.array([[0.0, 1.0], [0.5, 0.5]]), np.array([0, 0]))
    np.testing.assert_allclose(found, [20, np.log(2)])


def test_a_class_without_cases_has_no_sensitivity():
    table = of_classes.confusion(np.array([0, 0]), np.array([0, 0]), classes=2)
    assert np.isnan(of_classes.sensitivity(table)[0, 1])
    assert np.isnan(of_classes.f1(table)[0, 1])
    assert of_classes.balanced_accuracy(table)[0] == 1
