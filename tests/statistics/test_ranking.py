import numpy as np
import pytest
from scipy import stats

from lesionlab.statistics.ranking import agreement, rank_models

CLEAR = np.array([[0.9, 0.8, 0.7, 0.9], [0.5, 0.6, 0.5, 0.6], [0.1, 0.2, 0.1, 0.3]])


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_an_order_without_exception_is_found_by_every_rule_and_never_changes(is_higher_better: bool) -> None:
    for ranking in rank_models(CLEAR, is_higher_better=is_higher_better):
        assert ranking.ranks.tolist() == ([1, 2, 3] if is_higher_better else [3, 2, 1])
        assert ranking.stability == 1.0
        assert ranking.stability_interval.low == 1.0
        assert np.array_equal(ranking.frequencies, np.eye(3) if is_higher_better else np.eye(3)[::-1])


def test_rules_differ_where_one_patient_fails() -> None:
    scores = np.array([[0.9, 0.9, 0.9, 0.9, 0.0], [0.8, 0.8, 0.8, 0.8, 0.8]])
    ranks = {ranking.rule: ranking.ranks.tolist() for ranking in rank_models(scores, is_higher_better=True)}
    assert ranks["mean rank"] == ranks["median rank"] == ranks["rank of median"] == [1, 2]
    assert ranks["rank of mean"] == [2, 1]


def test_rows_of_frequencies_sum_to_1_with_ties_and_chance() -> None:
    scores = np.round(np.random.default_rng(0).random((5, 12)), 1)
    rankings = rank_models(scores, is_higher_better=True)
    for ranking in rankings:
        assert ranking.frequencies.sum(axis=1) == pytest.approx(np.ones(5))
        assert -1 <= ranking.stability_interval.low <= ranking.stability <= ranking.stability_interval.high <= 1
    table = agreement(rankings)
    assert np.allclose(np.diag(table), 1)
    assert table[0, 2] == stats.kendalltau(rankings[0].ranks, rankings[2].ranks).statistic


def test_the_chance_of_the_first_place_is_that_of_the_bootstrap() -> None:
    """Model 1 wins for one of three patients by 3, loses the others by 1; its mean is ahead if it is drawn once."""
    scores = np.array([[3.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    ranking = next(one for one in rank_models(scores, is_higher_better=True) if one.rule == "rank of mean")
    assert ranking.frequencies[0, 0] == pytest.approx(1 - (2 / 3) ** 3, abs=0.02)


def test_equal_models_share_the_rank_and_have_no_stability() -> None:
    for ranking in rank_models(np.ones((3, 4)), is_higher_better=True):
        assert ranking.ranks.tolist() == [2, 2, 2]
        assert np.isnan(ranking.stability)
