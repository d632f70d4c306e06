"""The page that people read after an evaluation: one HTML file that needs no network."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lesionlab.core.lesion_table import LesionRow
from lesionlab.core.report import Report, Row, Rules, Summary
from lesionlab.pages.official_figures import pair_legacy
from lesionlab.pages.offline_page import address, number, render_page
from lesionlab.pages.report_charts import draw_bland_altman, draw_distributions, draw_recall_by_size

FEWEST_CASES = 3
"""A box of fewer tells less than their numbers, which the page lists."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing with its words.

    Attributes:
        heading: In bold above it.
        caption: What it shows.
        svg: The drawing.
    """

    heading: str
    caption: str
    svg: bytes

    @property
    def address(self) -> str:
        """The drawing as an address that holds it whole."""
        return address(self.svg)


def render_report(
    report: Report,
    *,
    title: str,
    notice: str = "",
    pictures: Iterable[Picture] = (),
    lesions: Sequence[LesionRow] = (),
) -> str:
    """Return the page.

    Args:
        report: What is shown.
        title: The page's heading.
        notice: A sentence that nobody may overlook, shown above everything; empty for none.
        pictures: Cases to look at, in order.
        lesions: Every lesion of both masks; without them there is no chart of volumes and sizes.
    """
    facts = {
        "title": title,
        "notice": notice,
        "report": report,
        "provenance": report.provenance,
        "groups": {row.group for row in report.rows},
        "sites": sorted({row.site for row in report.rows if row.site}),
        "sections": _sections(report),
        "remarks": _remarks(report),
        "legacy_figures": pair_legacy(report.summary, report.rules),
        "fewest": FEWEST_CASES,
        "counted": report.counted,
        "charts": _charts(report, lesions),
        "pictures": tuple(pictures),  # last: other processes may still be drawing them
    }
    return render_page("report_page.html", facts)


def _charts(report: Report, lesions: Sequence[LesionRow]) -> list[Chart]:
    """Return distributions, and of volumes also what is measured in ml and mm³, which pictures have not."""
    measured = [*_volumes(report, lesions), *_sizes(lesions)] if report.kind == "volume" else []
    return [*(_distributions(report) if len(report.cases) >= FEWEST_CASES else []), *measured]


def _distributions(report: Report) -> list[Chart]:
    """One chart per protocol of every score that has a direction and a finite number."""
    charts = []
    for rules in report.rules:
        scores: dict[tuple[str, str], list[Row]] = {}
        for row in report.rows:
            if row.protocol == rules.name and row.is_higher_better is not None and math.isfinite(row.value):
                scores.setdefault((row.region, row.metric), []).append(row)
        if scores:
            caption = "A dot is a case; the box holds the middle half, the line is the median."
            drawn = draw_distributions(list(scores.values()))
            charts.append(Chart(heading=f"{rules.title}: every case.", caption=caption, svg=drawn))
    return charts


def _volumes(report: Report, lesions: Sequence[LesionRow]) -> list[Chart]:
    """One chart per region; a case without a lesion has a volume of 0."""
    charts = []
    for region in dict.fromkeys(lesion.region for lesion in lesions):
        volumes_ml = {side: dict.fromkeys(report.cases, 0.0) for side in ("predicted", "reference")}
        for lesion in lesions:
            if lesion.region == region:
                volumes_ml[lesion.side][lesion.case] += lesion.volume_mm3 / 1000
        both = (list(volumes_ml[side].values()) for side in ("predicted", "reference"))
        drawn = draw_bland_altman(*both, region=region)
        caption = (
            "A dot is a case. Between the dashed lines lie about 95 % of differences, if they are spread normally."
        )
        charts.append(Chart(heading=f"Volume of {region} (Bland and Altman).", caption=caption, svg=drawn))
    return charts


def _sizes(lesions: Sequence[LesionRow]) -> list[Chart]:
    charts = []
    for region in dict.fromkeys(lesion.region for lesion in lesions):
        own = [lesion for lesion in lesions if lesion.region == region and lesion.side == "reference"]
        if own:
            caption = (
                "The share of the reference's lesions that the prediction touches, with its interval over patients."
            )
            drawn = draw_recall_by_size(own)
            charts.append(Chart(heading=f"What size of {region} is found.", caption=caption, svg=drawn))
    return charts


def _sections(report: Report) -> list[Section]:
    summaries = report.summary
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
