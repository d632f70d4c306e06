"""Scores of many cases, their summary, and the files that hold them."""

import csv
import io
import json
import math
import re
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from lesionlab.core import interval
from lesionlab.core.case import DataKind
from lesionlab.core.errors import StorageError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.storage import write_text_atomically

FORMAT: Literal[1] = 1
SCORES_FILE = "scores.csv"
CASES_FILE = "cases.csv"
SUMMARY_FILE = "summary.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One score of one case, with everything needed to read it alone.

    Attributes:
        case: The case's id.
        group: The patient's.
        site: Where it was acquired, or an empty string.
        protocol: The registered name of the rules.
        region: As in `lesionlab.core.metric.Score`, like the fields that follow.
        metric: See there.
        value: See there; NaN where it is undefined.
        unit: See there.
        is_higher_better: See there.
        reason: See there.
    """

    case: str
    group: str
    site: str
    protocol: str
    region: str
    metric: str
    value: float
    unit: str
    is_higher_better: bool | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The protocol of some rows, in words."""

    name: str
    title: str
    citation: str
    is_legacy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One metric over all cases; statistics are of the finite values only and NaN where there are none.

    An infinite score, such as the distance of lesions of which none is matched, has no mean with others: it is counted
    apart, and what is said of the rest says how many it leaves out.

    Attributes:
        protocol: As in `Row`, like the four that follow.
        region: See there.
        metric: See there.
        unit: See there.
        is_higher_better: See there.
        n: Cases.
        n_defined: Cases with a finite number.
        mean: Of the finite numbers.
        sd: Their sample standard deviation; NaN for fewer than two.
        median: Their median.
        low: Lower end of the 95 % bootstrap interval of the mean over cases, whole patients drawn; NaN for fewer than
            three patients.
        high: Upper end.
        n_infinite: Cases with an infinite number; those that are left have none.
    """

    protocol: str
    region: str
    metric: str
    unit: str
    is_higher_better: bool | None
    n: int
    n_defined: int
    mean: float
    sd: float
    median: float
    low: float
    high: float
    n_infinite: int = 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every score of an evaluation.

    Attributes:
        rows: One per case, protocol, region and metric.
        rules: One per protocol, in the order they were asked for.
        provenance: What made the scores, in words: software and versions; no path and nothing about a patient.
        kind: What the images are; of pictures, lengths and areas are in pixels.
    """

    rows: tuple[Row, ...]
    rules: tuple[Rules, ...]
    provenance: dict[str, str]
    kind: DataKind = "volume"

    @property
    def counted(self) -> str:
        """What scores are averaged over, in a word: "patients", or "pictures" where nobody says whose they are."""
        return "patients" if self.tells_patients else "pictures"

    @property
    def tells_patients(self) -> bool:
        """Whether cases are known to be of patients, and not pictures that each count as a patient of their own."""
        return self.kind == "volume" or any(row.group != row.case for row in self.rows)

    @property
    def cases(self) -> tuple[str, ...]:
        """Ids of the cases in their order."""
        return tuple(dict.fromkeys(row.case for row in self.rows))

    @cached_property
    def summary(self) -> tuple[Summary, ...]:
        """One summary per protocol, region and metric, in the order of the rows."""
        together: dict[tuple[str, str, str], list[Row]] = {}
        for row in self.rows:
            together.setdefault((row.protocol, row.region, row.metric), []).append(row)
        return tuple(_summarise(rows) for rows in together.values())

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        """Write one row per score, one row per case, and the summary; return the three paths.

        An undefined value is an empty cell in the tables and null in the summary.

        Raises:
            StorageError: A file could not be written whole.
        """
        scores, cases, summary = folder / SCORES_FILE, folder / CASES_FILE, folder / SUMMARY_FILE
        write_text_atomically(scores, _table([field.name for field in fields(Row)], map(_cells, self.rows)))
        write_text_atomically(cases, _one_row_per_case(self.rows))
        write_text_atomically(summary, json.dumps(_described(self), indent=1, ensure_ascii=False) + "\n")
        return scores, cases, summary

    @classmethod
    def read(cls, folder: Path) -> "Report":
        """Read what `write` wrote; every value comes back exactly.

        Raises:
            StorageError: The folder holds no whole report of this format.
        """
        described = _SUMMARY.read(folder / SUMMARY_FILE)
        try:
            with (folder / SCORES_FILE).open(encoding="utf-8", newline="") as stream:
                rows = tuple(_row(cells) for cells in csv.DictReader(stream))
        except (OSError, ValueError, KeyError, csv.Error) as error:
            found = f"{type(error).__name__}: {error}"
            raise StorageError(_WANTED, found=found, where=folder, next_step=_NEXT_STEP) from error
        return cls(rows=rows, rules=described.rules, provenance=described.provenance, kind=described.kind)


class _Described(BaseModel):
    """What is read again of a summary's file."""

    format: Literal[1]
    kind: DataKind = "volume"
    provenance: dict[str, str]
    rules: tuple[Rules, ...]


_WANTED = f"a report: {SCORES_FILE} and {SUMMARY_FILE} of one evaluation"
_NEXT_STEP = "run lesionlab evaluate again into this folder"
_SUMMARY = JsonFile(schema=_Described, error=StorageError, wanted=_WANTED, next_step=_NEXT_STEP)


def in_pixels(row: Row) -> Row:
    """Return a score of a picture, whose pixels were taken as 1 mm wide and thick, in pixels instead of mm and ml."""
    name = re.sub(r"_(mm|ml)$", "_px", row.metric)
    name = re.sub(r"(?<=\d)mm$", "px", name.replace("volume", "area"))
    factor = 1000.0 if row.unit == "ml" else 1.0
    unit = "px" if row.unit in ("mm", "ml") else row.unit
    return replace(row, metric=name, value=row.value * factor, unit=unit)


def column(row: Row, *, has_one_region: bool) -> str:
    """Return the name of a row's column in the table of cases: protocol.metric or protocol.region.metric."""
    return ".".join([row.protocol, row.metric] if has_one_region else [row.protocol, row.region, row.metric])


def _summarise(rows: list[Row]) -> Summary:
    defined = [row for row in rows if math.isfinite(row.value)]
    values = [row.value for row in defined]
    ends = interval.mean_interval(values, groups=[row.group for row in defined])
    return Summary(
        protocol=rows[0].protocol,
        region=rows[0].region,
        metric=rows[0].metric,
        unit=rows[0].unit,
        is_higher_better=rows[0].is_higher_better,
        n=len(rows),
        n_defined=len(values),
        n_infinite=sum(math.isinf(row.value) for row in rows),
        mean=statistics.fmean(values) if values else math.nan,
        sd=statistics.stdev(values) if len(values) > 1 else math.nan,
        median=statistics.median(values) if values else math.nan,
        low=ends.low,
        high=ends.high,
    )


def _described(report: Report) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": report.kind,
        "provenance": report.provenance,
        "rules": [asdict(rules) for rules in report.rules],
        "interval": {
            "of": "the mean over cases",
            "level": interval.LEVEL,
            "method": "BCa bootstrap over patients, level raised for their number",
            "resamples": interval.RESAMPLES,
            "seed": interval.SEED,
        },
        "summary": [
            {name: None if value != value else value for name, value in asdict(summary).items()}
            for summary in report.summary
        ],
    }


def _one_row_per_case(rows: tuple[Row, ...]) -> str:
    regions: dict[str, set[str]] = {}
    for row in rows:
        regions.setdefault(row.protocol, set()).add(row.region)
    cases: dict[str, dict[str, str]] = {}
    for row in rows:
        cells = cases.setdefault(row.case, {"case": row.case, "group": row.group, "site": row.site})
        cells[column(row, has_one_region=len(regions[row.protocol]) == 1)] = _number(row.value)
    header = list(dict.fromkeys(name for cells in cases.values() for name in cells))
    return _table(header, cases.values())


def _table(header: list[str], rows: Iterable[dict[str, str]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _cells(row: Row) -> dict[str, str]:
    direction = "" if row.is_higher_better is None else str(row.is_higher_better).lower()
    return asdict(row) | {"value": _number(row.value), "is_higher_better": direction}


def _row(cells: dict[str, str]) -> Row:
    if None in cells or None in cells.values():
        raise ValueError("a line with fewer or more cells than the first")
    direction = {"true": True, "false": False, "": None}[cells["is_higher_better"]]
    words = {name: cells[name] for name in ("case", "group", "site", "protocol", "region", "metric", "unit", "reason")}
    return Row(value=float(cells["value"] or "nan"), is_higher_better=direction, **words)


def _number(value: float) -> str:
    """Return the shortest digits that read back as the same number."""
    return "" if math.isnan(value) else repr(value)
