import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlab.core.errors import LayoutError
from lesionlab.core.report import Report, Row, Rules
from lesionlab.pages.report_page import render_report
from lesionlab.statistics.score_table import score_tables, shared_cases
from lesionlab.workflows.compare import compare

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


anything = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 0.25, 0.25, 1.0]) | st.floats(-1e6, 1e6)


@settings(max_examples=30)
@given(st.lists(st.lists(anything, min_size=4, max_size=4), min_size=2, max_size=3), st.booleans())
def test_a_patients_score_is_the_patients_own(scores: list[list[float]], is_higher_better: bool) -> None:
    """Whatever the scores of other patients are: undefined, infinite, equal."""
    cases = ("p-1", "p-2", "q-1", "r-1")
    reports = {
        f"m{model}": [report_of(dict(zip(cases, values, strict=True)), is_higher_better=is_higher_better)]
        for model, values in enumerate(scores)
    }
    if not np.isfinite(scores).any():
        with pytest.raises(LayoutError):
            score_tables(reports)
        return
    (table,) = score_tables(reports)
    for model, values in enumerate(scores):
        rows = table.scores[f"m{model}"]
        assert np.isfinite(rows).all()
        for case, value in zip(cases[2:], values[2:], strict=True):
            if math.isfinite(value):
                assert rows[0, table.patients.index(case[0])] == value
        assert table.penalised[f"m{model}"] == sum(
            not math.isfinite(value) and any(math.isfinite(other[place]) for other in scores)
            for place, value in enumerate(values)
        )


@settings(max_examples=5)
@given(st.lists(st.lists(anything, min_size=3, max_size=5), min_size=2, max_size=3), st.booleans())
def test_any_scores_go_through_reports_and_comparison(scores: list[list[float]], is_higher_better: bool) -> None:
    n = min(map(len, scores))
    with tempfile.TemporaryDirectory() as folder:
        for model, values in enumerate(scores):
            own = dict(zip(("p", "q", "r", "s", "t"), values[:n], strict=False))
            written = report_of(own, is_higher_better=is_higher_better)
            written.write(Path(folder) / f"m{model}")
            read = Report.read(Path(folder) / f"m{model}")
            assert [repr(row.value) for row in read.rows] == [repr(row.value) for row in written.rows]
            (summary,) = json.loads((Path(folder) / f"m{model}" / "summary.json").read_text(), parse_constant=int)[
                "summary"
            ]
            finite = [value for value in own.values() if math.isfinite(value)]
            assert (summary["n"], summary["n_defined"]) == (n, len(finite))
            assert summary["n_infinite"] == sum(map(math.isinf, own.values()))
            assert summary["mean"] == (pytest.approx(sum(finite) / len(finite)) if finite else None)
            assert render_report(read, title="t")
        names = [f"{folder}/m{model}" for model in range(len(scores))]
        if np.isfinite([values[:n] for values in scores]).any():
            (comparison,) = compare(names, Path(folder) / "out").comparisons
            assert all(math.isfinite(score.mean) for score in comparison.models)
