import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lesionlab.statistics.comparison import compare_models
from lesionlab.statistics.score_table import ScoreTable
from lesionlab.statistics.strata import stratify, thirds

PATIENTS = tuple(f"p{index:02}" for index in range(24))


def table_of(**shifts: float) -> ScoreTable:
    """Models whose scores lie `shift` from one another on average."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0.7, 0.1, len(PATIENTS))
    return ScoreTable(
        protocol="rules",
        region="lesion",
        metric="dice",
        unit="1",
        is_higher_better=True,
        patients=PATIENTS,
        scores={name: (shared + shift + rng.normal(0, 0.02, len(PATIENTS)))[None] for name, shift in shifts.items()},
        penalised=dict.fromkeys(shifts, 0),
        left_out=0,
    )


def test_three_models_are_tested_together_and_in_adjusted_pairs() -> None:
    table = table_of(best=0.1, middle=0.09, worst=0.0)
    comparison = compare_models(table)
    assert comparison.friedman is not None
    assert comparison.friedman.p_value == pytest.approx(stats.friedmanchisquare(*table.matrix).pvalue, abs=1e-12)
    assert [(pair.first, pair.second) for pair in comparison.pairs] == [
        ("best", "middle"),
        ("best", "worst"),
        ("middle", "worst"),
    ]
    raw = [pair.test.p_value for pair in comparison.pairs]
    adjusted = [pair.adjusted_p_value for pair in comparison.pairs]
    assert adjusted == pytest.approx(multipletests(raw, method="holm")[1], abs=1e-12)
    assert comparison.pair("worst", "best").is_significant
    assert all(ranking.ranks.tolist() == [1, 2, 3] for ranking in comparison.rankings)
    assert math.isnan(comparison.pairs[0].equivalence_p_value)


def test_two_models_need_no_friedman_and_may_be_equivalent() -> None:
    comparison = compare_models(table_of(one=0.0, other=0.0), margin=0.03)
    assert comparison.friedman is None
    (pair,) = comparison.pairs
    assert pair.adjusted_p_value == pair.test.p_value
    assert pair.equivalence_p_value < 0.05
    assert compare_models(table_of(one=0.0, other=0.1), margin=0.03).pairs[0].equivalence_p_value > 0.9


def test_one_patient_gives_numbers_without_intervals() -> None:
    comparison = compare_models(table_of(a=0.0, b=0.1).of(frozenset({"p00"})))
    (pair,) = comparison.pairs
    assert (pair.test.n, pair.test.p_value) == (1, 1.0)
    assert math.isnan(pair.test.mean_interval.low)
    assert math.isnan(comparison.models[0].sd)


def test_strata_hold_the_patients_that_belong_to_them() -> None:
    table = table_of(a=0.0, b=0.1)
    parts = {patient: "Utrecht" if index < 4 else "Singapore" for index, patient in enumerate(PATIENTS[:-1])}
    singapore, utrecht = stratify(table, parts, by="site").strata
    assert (singapore.n, utrecht.n) == (19, 4)
    assert utrecht.is_small
    assert not singapore.is_small
    assert utrecht.models[0].mean == pytest.approx(table.scores["a"][0, :4].mean())


def test_thirds_sort_from_low_to_high() -> None:
    found = thirds({"a": 1.0, "b": 2.0, "c": 3.0, "d": math.nan}, unit="ml")
    assert sorted(found, key=found.__getitem__) == ["a", "b", "c"]
    assert [word[0] for word in found.values()] == ["1", "2", "3"]
    assert thirds({"a": 1.0, "b": 1.0, "c": 2.0}, unit="ml") == {}
