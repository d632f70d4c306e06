import csv
import json
import math
import statistics
from pathlib import Path

import pytest

from lesionlab.core.errors import StorageError
from lesionlab.core.report import Report, Row, Rules

RULES = Rules(name="wmh2017", title="WMH", citation="doi:10", is_legacy=False)


def row(case: str, value: float, *, metric: str = "dsc", region: str = "wmh", reason: str = "") -> Row:
    return Row(
        case=case,
        group=case,
        site="Utrecht",
        protocol="wmh2017",
        region=region,
        metric=metric,
        value=value,
        unit="1",
        is_higher_better=True,
        reason=reason,
    )


def report_of(*rows: Row) -> Report:
    return Report(rows=rows, rules=(RULES,), provenance={"lesionlab": "0.1"})


def test_summary_counts_what_is_undefined_and_leaves_it_out_of_the_mean() -> None:
    values = [0.5, 0.25, math.nan, 1.0]
    (summary,) = report_of(*(row(f"a{index}", value) for index, value in enumerate(values))).summary
    assert (summary.n, summary.n_defined) == (4, 3)
    assert summary.mean == pytest.approx(1.75 / 3)
    assert summary.sd == pytest.approx(statistics.stdev([0.5, 0.25, 1.0]))
    assert summary.median == 0.5
    assert 0.25 <= summary.low < summary.mean < summary.high <= 1.0


def test_summary_of_one_and_of_no_number() -> None:
    one, none = report_of(row("a", 0.5), row("a", math.nan, metric="hd95_mm")).summary
    assert (one.mean, one.median) == (0.5, 0.5)
    assert math.isnan(one.sd)
    assert math.isnan(one.low)
    assert none.n_defined == 0
    assert math.isnan(none.mean)


def test_reads_back_exactly_what_it_wrote(tmp_path: Path) -> None:
    report = report_of(
        row("a,1", 1 / 3), row('b"2', math.pi, reason="why, so"), row("ç\n3", 1e-300), row("d", 0.0, metric="hd95_mm")
    )
    report.write(tmp_path)
    assert Report.read(tmp_path) == report


def test_an_undefined_value_is_an_empty_cell_and_null(tmp_path: Path) -> None:
    scores, cases, summary = report_of(row("a", math.nan, reason="both masks are empty")).write(tmp_path)
    (cells,) = csv.DictReader(scores.read_text().splitlines())
    assert (cells["value"], cells["reason"]) == ("", "both masks are empty")
    (cells,) = csv.DictReader(cases.read_text().splitlines())
    assert cells == {"case": "a", "group": "a", "site": "Utrecht", "wmh2017.dsc": ""}
    described = json.loads(summary.read_text(), parse_constant=pytest.fail)
    assert described["summary"][0]["mean"] is None
    assert math.isnan(Report.read(tmp_path).rows[0].value)


def test_one_row_per_case_names_regions_only_where_there_are_several(tmp_path: Path) -> None:
    rows = [row(case, 0.5, region=region) for case in ("a", "b") for region in ("WT", "ET")]
    _, cases, _ = report_of(*rows).write(tmp_path)
    header, *lines = cases.read_text().splitlines()
    assert header == "case,group,site,wmh2017.WT.dsc,wmh2017.ET.dsc"
    assert len(lines) == 2


@pytest.mark.parametrize("damage", ["absent", "json", "columns", "format"])
def test_refuses_what_is_no_report(tmp_path: Path, damage: str) -> None:
    scores, _, summary = report_of(row("a", 0.5)).write(tmp_path)
    if damage == "absent":
        scores.unlink()
    if damage == "json":
        summary.write_text("{")
    if damage == "columns":
        scores.write_text("case,value\na,0.5\n")
    if damage == "format":
        summary.write_text(summary.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(StorageError, match="evaluate"):
        Report.read(tmp_path)
