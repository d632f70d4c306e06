"""The page that people read after an evaluation: one HTML file that needs no network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lesionlab.core.report import Report, Row, Rules, Summary
from lesionlab.pages.offline_page import address, number, render_page


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One case to look at.

    Attributes:
        label: Why it is shown ("Best case").
        case: Its id.
        caption: What it scored.
        png: The picture.
    """

    label: str
    case: str
    caption: str
    png: bytes

    @property
    def address(self) -> str:
        """The picture as an address that holds it whole."""
        return address(self.png)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What the page shows of one protocol.

    Attributes:
        rules: Its words.
        summaries: One per region and metric.
        cases: One list of rows per case, in the order of `summaries`.
    """

    rules: Rules
    summaries: tuple[Summary, ...]
    cases: tuple[tuple[Row, ...], ...]

    @property
    def has_regions(self) -> bool:
        """Whether there is more than one region to tell apart."""
        return len({summary.region for summary in self.summaries}) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Scores of one case under one protocol that a reader must not take for ordinary ones.

    Attributes:
        case: Its id.
        title: The protocol's.
        reason: What is the matter.
        undefined: Metrics without a number.
        ruled: Metrics whose number a rule for empty masks gave.
    """

    case: str
    title: str
    reason: str
    undefined: tuple[str, ...]
    ruled: tuple[str, ...]


def render_report(report: Report, *, title: str, notice: str = "", pictures: Sequence[Picture] = ()) -> str:
    """Return the page.

    Args:
        report: What is shown.
        title: The page's heading.
        notice: A sentence that nobody may overlook, shown above everything; empty for none.
        pictures: Cases to look at, in order.
    """
    facts = {
        "title": title,
        "notice": notice,
        "pictures": pictures,
        "report": report,
        "provenance": report.provenance,
        "groups": {row.group for row in report.rows},
        "sites": sorted({row.site for row in report.rows if row.site}),
        "sections": _sections(report),
        "remarks": _remarks(report),
    }
    return render_page("report_page.html", facts)


def _sections(report: Report) -> list[Section]:
    summaries = report.summary()
    sections = []
    for rules in report.rules:
        by_case: dict[str, list[Row]] = {case: [] for case in report.cases}
        for row in report.rows:
            if row.protocol == rules.name:
                by_case[row.case].append(row)
        own = tuple(summary for summary in summaries if summary.protocol == rules.name)
        cases = tuple(tuple(rows) for rows in by_case.values() if rows)
        sections.append(Section(rules=rules, summaries=own, cases=cases))
    return sections


def _remarks(report: Report) -> list[Remark]:
    """Return what is undefined or ruled, cases with undefined scores first."""
    titles = {rules.name: rules.title for rules in report.rules}
    regions = {rules.name: {row.region for row in report.rows if row.protocol == rules.name} for rules in report.rules}
    together: dict[tuple[str, str, str], list[Row]] = {}
    for row in report.rows:
        if row.reason:
            reason = row.reason if len(regions[row.protocol]) == 1 else f"{row.region}: {row.reason}"
            together.setdefault((row.case, row.protocol, reason), []).append(row)
    remarks = [
        Remark(
            case=case,
            title=titles[protocol],
            reason=reason,
            undefined=tuple(row.metric for row in rows if math.isnan(row.value)),
            ruled=tuple(f"{row.metric} = {number(row.value, row.unit)}" for row in rows if not math.isnan(row.value)),
        )
        for (case, protocol, reason), rows in together.items()
    ]
    return sorted(remarks, key=lambda remark: not remark.undefined)
