import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from lesionlab.statistics.power import detectable_difference, smallest_p_value


@pytest.mark.parametrize("n", [4, 8, 30, 200])
def test_the_detectable_difference_is_that_of_statsmodels(n: int) -> None:
    differences = np.random.default_rng(n).normal(0, 0.2, n)
    effect = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert detectable_difference(differences) == pytest.approx(effect * differences.std(ddof=1), rel=1e-4)


def test_three_patients_can_be_judged_and_two_cannot() -> None:
    assert detectable_difference(np.array([0.1, 0.2, 0.3])) > 0.3
    assert np.isnan(detectable_difference(np.array([0.1, 0.2])))
    assert detectable_difference(np.full(5, 0.25)) == 0


@pytest.mark.parametrize("n", [1, 5, 6, 12])
def test_the_smallest_p_value_is_that_of_a_model_that_always_wins(n: int) -> None:
    assert smallest_p_value(n) == pytest.approx(stats.wilcoxon(np.arange(1.0, n + 1)).pvalue)
