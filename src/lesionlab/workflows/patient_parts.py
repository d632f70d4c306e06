"""What divides the patients of a comparison: site, lesion load, lesion size, or a column of a table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from lesionlab.core.errors import OptionError
from lesionlab.core.interval import mean_interval
from lesionlab.core.lesion_table import SIZE_CLASSES
from lesionlab.core.report import Report
from lesionlab.layouts.tables import read_table
from lesionlab.statistics.comparison import ModelScore
from lesionlab.statistics.score_table import ScoreTable, patients_of, shared_cases
from lesionlab.statistics.strata import Stratification, Stratum, stratify, thirds
from lesionlab.workflows.model_reports import ModelReports

LOAD = "reference_volume_ml"
KINDS = ("site", "load", "size")


def divide_patients(
    models: Sequence[ModelReports], tables: Sequence[ScoreTable], *, by: Sequence[str], columns: Path | None
) -> tuple[Stratification, ...]:
    """Return every table's scores by site, load and column, and the recall of lesions by their size.

    Args:
        models: Whose reports know site, load and lesions.
        tables: Of the metrics.
        by: What to divide by; none takes whatever is there.
        columns: A CSV with a column "case" or "patient".

    Raises:
        OptionError: Something was asked for that the reports or the CSV do not have.
        LayoutError: The CSV cannot be read.
    """
    first = models[0].reports[0]
    named = _columns(columns, first) if columns else {}
    asked = tuple(by) or (*KINDS, *named)
    found: list[Stratification] = []
    for kind in asked:
        parts = _by_size(models) if kind == "size" else _by_patient(kind, first, tables, named=named)
        if by and not parts:
            raise OptionError(
                "something that divides the patients",
                found=f"nothing for {kind!r}",
                where="by",
                next_step="choose from site, load, size and the columns of the CSV; load and size need reports of "
                "this version, load also a protocol with volumes",
            )
        found += parts
    return tuple(found)


def _by_patient(
    kind: str, report: Report, tables: Sequence[ScoreTable], *, named: Mapping[str, Mapping[str, str]]
) -> list[Stratification]:
    divided = []
    for table in tables:
        if kind in named:
            parts = dict(named[kind])
        elif kind == "site":
            parts = {row.group: row.site for row in report.rows if row.site}
        else:
            parts = thirds(_loads(report, table.region), unit="ml") if kind == "load" else {}
        if len({parts[patient] for patient in table.patients if parts.get(patient)}) > 1:
            divided.append(stratify(table, parts, by=kind))
    return divided


def _loads(report: Report, region: str) -> dict[str, float]:
    """Mean reference volume of each patient's scans, of the table's region or else of the only one there is."""
    rows = [row for row in report.rows if row.metric == LOAD]
    if region not in {row.region for row in rows} and len({row.region for row in rows}) > 1:
        return {}
    volumes: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.region == region or region not in {other.region for other in rows}:
            volumes.setdefault(row.group, {})[row.case] = row.value
    return {patient: math.fsum(scans.values()) / len(scans) for patient, scans in volumes.items()}


def _by_size(models: Sequence[ModelReports]) -> list[Stratification]:
    """The share of the reference's lesions that each model touches, by size in mm³; nothing of pictures."""
    is_measured = all(report.kind == "volume" for model in models for report in model.reports)
    if not is_measured or any(lesions is None for model in models for lesions in model.lesions):
        return []
    shared = set(shared_cases({model.name: model.reports for model in models}))
    regions = dict.fromkeys(row.region for row in models[0].lesions[0] or ())
    divided = []
    for region in regions:
        strata = [_stratum(models, shared, region=region, size=size) for size in SIZE_CLASSES]
        present = tuple(stratum for stratum in strata if stratum.n)
        if present:
            name = f"{region}: share of lesions found"
            divided.append(Stratification(metric=name, unit="1", by="lesion size", counted="lesions", strata=present))
    return divided


def _stratum(models: Sequence[ModelReports], shared: set[str], *, region: str, size: str) -> Stratum:
    scores = []
    for model in models:
        lesions = [
            row
            for rows in model.lesions
            for row in rows or ()
            if row.side == "reference" and row.region == region and row.size_class == size and row.case in shared
        ]
        scores.append(_recall(model, [(row.group, float(row.is_touched)) for row in lesions]))
    return Stratum(name=size, n=scores[0].n, models=tuple(scores))


def _recall(model: ModelReports, found: Sequence[tuple[str, float]]) -> ModelScore:
    values = [value for _, value in found]
    return ModelScore(
        model=model.name,
        n=len(values) // len(model.reports),
        mean=math.fsum(values) / len(values) if values else math.nan,
        interval=mean_interval(values, groups=[patient for patient, _ in found]),
        median=math.nan,
        sd=math.nan,
        seeds=len(model.reports),
        seed_sd=math.nan,
        penalised=0,
    )


def _columns(path: Path, report: Report) -> dict[str, dict[str, str]]:
    """Return column -> patient -> value."""
    patient_of = patients_of(report)
    lines = read_table(path)
    problem = "no such column" if lines else "no rows"
    key = next((name for name in ("case", "patient") if lines and name in lines[0]), "")
    if not key:
        raise OptionError(
            'a CSV with a column "case" or "patient"',
            found=problem,
            where=str(path),
            next_step="name the first column case and give one row per case",
        )
    by_column: dict[str, dict[str, str]] = {name: {} for name in lines[0] if name and name != key}
    for line in lines:
        patient = patient_of.get(line[key], "") if key == "case" else line[key]
        for name, values in by_column.items():
            values[patient] = line[name]
    return by_column
