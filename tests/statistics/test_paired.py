from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from lesionlab.statistics.paired import compare_pair, equivalence, hodges_lehmann, wilcoxon


@pytest.mark.parametrize("n", [5, 6, 7, 8, 14, 30, 80])
@pytest.mark.parametrize("decimals", [1, 9])
def test_wilcoxon_is_that_of_scipy(n: int, decimals: int) -> None:
    differences = np.round(np.random.default_rng(n).normal(0.1, 0.4, n), decimals)
    expected = stats.wilcoxon(differences, zero_method="pratt").pvalue
    assert wilcoxon(differences) == pytest.approx(expected, abs=1e-12)


def test_wilcoxon_counts_all_signs_of_few_patients() -> None:
    differences = np.array([0.5, 0.2, -0.1, 0.4, 0.3, 0.0])
    ranks = stats.rankdata(np.abs(differences))[:5]
    sums = np.array([(ranks * signs).sum() for signs in product((0, 1), repeat=5)])
    found = (ranks * (differences[:5] > 0)).sum()
    expected = 2 * min((sums >= found).mean(), (sums <= found).mean())
    assert wilcoxon(differences) == pytest.approx(expected, abs=1e-12)


def test_wilcoxon_of_nothing_that_differs_is_1_and_of_nothing_is_undefined() -> None:
    assert wilcoxon(np.zeros(7)) == 1.0
    assert np.isnan(wilcoxon(np.zeros(0)))


def test_hodges_lehmann_is_the_median_of_all_means_of_two() -> None:
    differences = np.array([1.0, 5.0, 2.0])
    assert hodges_lehmann(differences)[0] == np.median([1, 5, 2, 3, 1.5, 3.5])


@pytest.mark.parametrize("n", [6, 9, 14, 25])
def test_the_shift_s_interval_holds_what_wilcoxon_does_not_exclude(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    _, interval = hodges_lehmann(differences)
    width = interval.high - interval.low
    for inside in (interval.low + 1e-9 * width, interval.high - 1e-9 * width):
        assert stats.wilcoxon(differences - inside).pvalue > 0.05
    for outside in (interval.low - 1e-9 * width, interval.high + 1e-9 * width):
        assert stats.wilcoxon(differences - outside).pvalue <= 0.05


def test_five_patients_are_too_few_for_the_shift_s_interval() -> None:
    _, interval = hodges_lehmann(np.arange(1.0, 6))
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)


def test_the_shift_s_interval_of_many_patients_covers_as_one_of_few() -> None:
    narrow, wide = (hodges_lehmann(np.random.default_rng(0).normal(size=n))[1] for n in (51, 50))
    assert narrow.high - narrow.low == pytest.approx(wide.high - wide.low, rel=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_equivalence_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.7, 0.1, 15), rng.normal(0.72, 0.1, 15)
    expected, _, _ = ttost_paired(first, second, -0.05, 0.05)
    assert equivalence(first - second, margin=0.05) == pytest.approx(expected, abs=1e-12)


def test_equivalence_of_equal_differences_is_certain() -> None:
    assert equivalence(np.full(4, 0.01), margin=0.02) == 0.0
    assert equivalence(np.full(4, 0.03), margin=0.02) == 1.0
    assert np.isnan(equivalence(np.zeros(1), margin=1.0))


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_wins_follow_the_metric_s_direction(is_higher_better: bool) -> None:
    first, second = np.array([[0.9, 0.8, 0.5, 0.7]]), np.array([[0.5, 0.6, 0.5, 0.9]])
    test = compare_pair(first, second, is_higher_better=is_higher_better)
    assert (test.wins, test.ties, test.losses) == ((2, 1, 1) if is_higher_better else (1, 1, 2))
    assert test.win_rate == ((2.5 / 4) if is_higher_better else (1.5 / 4))
    assert test.mean_difference == pytest.approx(0.1)


def test_rounding_of_means_over_seeds_makes_no_winner() -> None:
    first = np.array([[0.1, 0.7], [0.2, 0.1], [0.3, 0.4]])
    test = compare_pair(first, first[::-1].copy(), is_higher_better=True)
    assert (test.ties, test.p_value) == (2, 1.0)


@pytest.mark.slow
def test_type_i_error_is_4_to_6_percent() -> None:
    rng = np.random.default_rng(20)
    found = [wilcoxon(rng.normal(size=30)) < 0.05 for _ in range(10_000)]
    assert 0.04 <= np.mean(found) <= 0.06
