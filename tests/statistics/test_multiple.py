import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lesionlab.statistics.multiple import friedman, holm


@pytest.mark.parametrize("seed", range(20))
def test_holm_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_values = rng.choice([1.0, 0.3, 0.05, 1e-3, 1e-9], 3).tolist() + rng.random(rng.integers(1, 12)).tolist()
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)


def test_holm_keeps_the_order_and_never_exceeds_one() -> None:
    assert holm([0.04, 0.01, 0.9]) == pytest.approx([0.08, 0.03, 0.9], abs=1e-12)
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_counts_a_test_without_a_p_value() -> None:
    first, second = holm([float("nan"), 0.01])
    assert np.isnan(first)
    assert second == 0.02


@pytest.mark.parametrize("seed", range(20))
def test_friedman_is_that_of_scipy_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random((rng.integers(3, 7), rng.integers(4, 40))), 1)
    found, expected = friedman(scores), stats.friedmanchisquare(*scores)
    assert found.chi_square == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-12)


def test_iman_and_davenport_from_an_analysis_of_variance_of_ranks() -> None:
    scores = np.random.default_rng(0).random((4, 12)) + np.arange(4)[:, None] * 0.2
    ranks = stats.rankdata(scores, axis=0)
    between = 12 * ((ranks.mean(axis=1) - 2.5) ** 2).sum()
    within = ((ranks - ranks.mean(axis=1, keepdims=True)) ** 2).sum()
    f = (between / 3) / (within / (3 * 11))
    assert friedman(scores).f == pytest.approx(f, abs=1e-10)
    assert friedman(scores).f_p_value == pytest.approx(stats.f.sf(f, 3, 33), abs=1e-12)


def test_equal_models_do_not_differ_and_an_order_without_exception_does() -> None:
    equal = friedman(np.ones((3, 5)))
    assert (equal.p_value, equal.f_p_value) == (1.0, 1.0)
    ordered = friedman(np.arange(3.0)[:, None] + np.zeros((3, 9)))
    assert ordered.f == np.inf
    assert ordered.f_p_value == 0.0
    assert np.isnan(friedman(np.ones((3, 1))).p_value)
