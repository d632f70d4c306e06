import math

import numpy as np
import pytest

from lesionlab.core.errors import LayoutError
from lesionlab.core.report import Report, Row, Rules
from lesionlab.statistics.score_table import score_tables, shared_cases

RULES = Rules(name="rules", title="Rules", citation="none", is_legacy=False)


def report_of(values: dict[str, float], *, metric: str = "dice", is_higher_better: bool | None = True) -> Report:
    """Scans are named patient-visit."""
    rows = tuple(
        Row(
            case=case,
            group=case.partition("-")[0],
            site="",
            protocol="rules",
            region="lesion",
            metric=metric,
            value=value,
            unit="1",
            is_higher_better=is_higher_better,
            reason="",
        )
        for case, value in values.items()
    )
    return Report(rows=rows, rules=(RULES,), provenance={})


def test_scans_are_averaged_within_the_patient_and_seeds_stay_apart() -> None:
    models = {
        "a": [report_of({"p-1": 0.2, "p-2": 0.4, "q-1": 0.9}), report_of({"p-1": 0.4, "p-2": 0.6, "q-1": 0.7})],
        "b": [report_of({"q-1": 0.5, "p-1": 0.1, "p-2": 0.1})],
    }
    (table,) = score_tables(models)
    assert table.patients == ("p", "q")
    assert table.scores["a"] == pytest.approx(np.array([[0.3, 0.9], [0.5, 0.7]]))
    assert table.matrix == pytest.approx(np.array([[0.4, 0.8], [0.1, 0.5]]))
    assert table.name == "rules.lesion.dice"


@pytest.mark.parametrize(("is_higher_better", "worst"), [(True, 0.3), (False, 0.8)])
def test_a_failure_counts_as_the_worst_score_and_is_counted(is_higher_better: bool, worst: float) -> None:
    values = {"a": {"p": math.nan, "q": 0.8, "r": math.nan}, "b": {"p": 0.3, "q": 0.6, "r": math.nan}}
    (table,) = score_tables({m: [report_of(v, is_higher_better=is_higher_better)] for m, v in values.items()})
    assert table.scores["a"].tolist() == [[worst, 0.8]]
    assert table.penalised == {"a": 1, "b": 0}
    assert (table.patients, table.left_out) == (("p", "q"), 1)


def test_only_shared_cases_are_compared() -> None:
    models = {"a": [report_of({"p": 0.1, "q": 0.2})], "b": [report_of({"q": 0.3, "r": 0.4})]}
    assert shared_cases(models) == ("q",)
    assert score_tables(models)[0].patients == ("q",)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(LayoutError, match="no case in common"):
        score_tables({"a": [report_of({"p": 0.1})], "b": [report_of({"q": 0.2})]})
    with pytest.raises(LayoutError, match="same --protocol"):
        score_tables({"a": [report_of({"p": 0.1})], "b": [report_of({"p": 0.2}, metric="hd95")]})
    with pytest.raises(LayoutError, match="with numbers"):
        score_tables({name: [report_of({"p": math.nan})] for name in "ab"})
    with pytest.raises(LayoutError, match="metric"):
        score_tables({name: [report_of({"p": 1.0}, is_higher_better=None)] for name in "ab"})


def test_a_case_of_two_patients_is_refused() -> None:
    other = report_of({"p": 0.1})
    moved = Report(rows=tuple(_regrouped(row) for row in other.rows), rules=(RULES,), provenance={})
    with pytest.raises(LayoutError, match="other patients for p"):
        shared_cases({"a": [other], "b": [moved]})


def _regrouped(row: Row) -> Row:
    return Row(**{name: getattr(row, name) for name in Row.__slots__} | {"group": "somebody else"})
