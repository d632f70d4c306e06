"""The scores of several models on the same patients, taken out of their reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from lesionlab.core.errors import LayoutError
from lesionlab.core.report import Report, Row

Models = Mapping[str, Sequence[Report]]
"""Model's name -> its reports, one per training seed."""

Kind = tuple[str, str, str]
"""Protocol, region and metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """One metric of every model on the same patients.

    Attributes:
        protocol: The rules' registered name.
        region: What was scored.
        metric: Its name in the protocol.
        unit: As in `lesionlab.core.metric.Score`.
        is_higher_better: The direction.
        patients: Their ids; a patient's score is the mean over the patient's scans.
        scores: Model -> one row per seed, one column per patient; all finite.
        penalised: Model -> scores that were undefined or infinite for it though not for every model, all seeds
            together. Each counts as the worst finite score that any model had, so that a failure never makes a mean
            better.
        left_out: Scans for which no model has a finite score, such as those without a lesion.
        counted: What patients are called: "pictures" where nobody says whose those are.
    """

    protocol: str
    region: str
    metric: str
    unit: str
    is_higher_better: bool
    patients: tuple[str, ...]
    scores: Mapping[str, Float[np.ndarray, "_ patient"]]
    penalised: Mapping[str, int]
    left_out: int
    counted: str = "patients"

    @property
    def name(self) -> str:
        """Protocol, region and metric, joined by points."""
        return f"{self.protocol}.{self.region}.{self.metric}"

    @property
    def matrix(self) -> Float[np.ndarray, "model patient"]:
        """Means over seeds, one row per model; what differs by rounding only is equal."""
        return np.round(np.stack([rows.mean(axis=0) for rows in self.scores.values()]), 12)

    def of(self, patients: frozenset[str]) -> "ScoreTable":
        """Return the table of those patients only; the counts of failures stay those of all."""
        chosen = [index for index, patient in enumerate(self.patients) if patient in patients]
        return replace(
            self,
            patients=tuple(self.patients[index] for index in chosen),
            scores={model: rows[:, chosen] for model, rows in self.scores.items()},
        )


def shared_cases(models: Models) -> tuple[str, ...]:
    """Return the cases that every report holds, in the order of the first.

    Raises:
        LayoutError: There is none, or a case belongs to one patient in one report and to another in another.
    """
    reports = [report for reports in models.values() for report in reports]
    shared = frozenset.intersection(*(frozenset(report.cases) for report in reports))
    patients = {case: {patients_of(report)[case] for report in reports} for case in shared}
    unsure = sorted(case for case, names in patients.items() if len(names) > 1)
    if unsure or not shared:
        raise LayoutError(
            "cases that all reports share, each of one patient",
            found=f"other patients for {', '.join(unsure[:5])}" if unsure else "no case in common",
            where=", ".join(models),
            next_step="evaluate all models on the same cases of the same layout",
        )
    return tuple(case for case in reports[0].cases if case in shared)


def patients_of(report: Report) -> dict[str, str]:
    """Return the patient of each case."""
    return {row.case: row.group for row in report.rows}


def score_tables(models: Models) -> tuple[ScoreTable, ...]:
    """Return one table per metric that has a direction and that every report holds, in the order of the first report.

    A metric that is undefined or infinite for every case is left out.

    Raises:
        LayoutError: As `shared_cases`, or there is no such metric.
    """
    cases = shared_cases(models)
    values = {model: [_values(report) for report in reports] for model, reports in models.items()}
    first = next(iter(models.values()))[0]
    patients = patients_of(first)
    tables = []
    for kind, sample in {_kind(row): row for row in first.rows if row.is_higher_better is not None}.items():
        if all(kind in kinds for reports in values.values() for kinds in reports):
            raw = {
                model: np.array([[kinds[kind].get(case, np.nan) for case in cases] for kinds in reports])
                for model, reports in values.items()
            }
            tables.append(_table(sample, raw, patients=[patients[case] for case in cases], counted=first.counted))
    tables = [table for table in tables if table.patients]
    if not tables:
        raise LayoutError(
            "a metric that every report holds, with numbers",
            found="none",
            where=", ".join(models),
            next_step="evaluate the models with the same --protocol",
        )
    return tuple(tables)


def _kind(row: Row) -> Kind:
    return row.protocol, row.region, row.metric


def _values(report: Report) -> dict[Kind, dict[str, float]]:
    values: dict[Kind, dict[str, float]] = {}
    for row in report.rows:
        values.setdefault(_kind(row), {})[row.case] = row.value
    return values


def _table(
    sample: Row, raw: Mapping[str, Float[np.ndarray, "_ scan"]], *, patients: Sequence[str], counted: str
) -> ScoreTable:
    assert sample.is_higher_better is not None
    every = np.concatenate(list(raw.values()))
    is_scored = np.isfinite(every).any(axis=0)
    scored_patients = [patient for patient, scored in zip(patients, is_scored, strict=True) if scored]
    names = tuple(dict.fromkeys(scored_patients))
    place = {name: number for number, name in enumerate(names)}
    member = np.array([place[patient] for patient in scored_patients], dtype=int)
    finite = every[np.isfinite(every)]
    worst = (finite.min() if sample.is_higher_better else finite.max()) if names else np.nan
    return ScoreTable(
        protocol=sample.protocol,
        region=sample.region,
        metric=sample.metric,
        unit=sample.unit,
        is_higher_better=sample.is_higher_better,
        patients=names,
        scores={
            model: _patient_means(np.where(np.isfinite(rows), rows, worst)[:, is_scored], member, n_patients=len(names))
            for model, rows in raw.items()
        },
        penalised={model: int((~np.isfinite(rows[:, is_scored])).sum()) for model, rows in raw.items()},
        left_out=int((~is_scored).sum()),
        counted=counted,
    )


def _patient_means(
    rows: Float[np.ndarray, "seed scan"], member: Int[np.ndarray, " scan"], *, n_patients: int
) -> Float[np.ndarray, "seed patient"]:
    """Return the mean of each patient over the patient's own scans."""
    sizes = np.bincount(member, minlength=n_patients)
    return np.array([np.bincount(member, weights=row, minlength=n_patients) / sizes for row in rows])
