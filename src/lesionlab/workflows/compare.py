"""Test reports against each other: tables, tests, rankings and one page."""

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lesionlab.core import interval
from lesionlab.core.errors import OptionError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.progress import track
from lesionlab.core.storage import write_text_atomically
from lesionlab.pages.comparison_page import render_comparison
from lesionlab.pages.paper_table import write_tables
from lesionlab.statistics.comparison import Comparison, compare_models
from lesionlab.statistics.power import smallest_p_value
from lesionlab.statistics.score_table import ScoreTable, score_tables, shared_cases
from lesionlab.statistics.strata import Stratification
from lesionlab.workflows.model_reports import ModelReports, read_models
from lesionlab.workflows.patient_parts import divide_patients

PAGE_FILE = "comparison.html"
FEW_PATIENTS = 20
SOFTWARE = ("lesionlab", "numpy", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a comparison left behind.

    Attributes:
        comparisons: One per metric.
        strata: Scores in parts of the patients or lesions.
        notes: What a reader must know first.
        page: The page to read.
        files: Every file written, the page included.
        resamples: Of every bootstrap.
        seed: Of every bootstrap.
    """

    comparisons: tuple[Comparison, ...]
    strata: tuple[Stratification, ...]
    notes: tuple[str, ...]
    page: Path
    files: tuple[Path, ...]
    resamples: int = interval.RESAMPLES
    seed: int = interval.SEED


def compare(
    reports: Sequence[str],
    out: Path,
    *,
    metrics: Sequence[str] = (),
    margins: Mapping[str, float] | None = None,
    by: Sequence[str] = (),
    columns: Path | None = None,
    title: str = "Comparison",
) -> Compared:
    """Compare two or more models by their reports on the same cases; write tables and a page.

    Args:
        reports: Folders that `evaluate` wrote, as ``FOLDER`` or ``NAME=FOLDER``; one name given several times is one
            model trained with several seeds.
        out: Folder for ``comparison.html``, ``comparison.json`` and ``table.md``, ``.csv`` and ``.tex``.
        metrics: Which, as ``metric``, ``protocol.metric`` or ``protocol.region.metric``; none takes all that have a
            direction.
        margins: Such a name -> largest difference without a meaning, for tests of equivalence.
        by: What divides the patients: "site", "load", "size" or a column of `columns`; none takes what there is.
        columns: A CSV with a column "case" or "patient" and others.
        title: Heading of the page.

    Raises:
        LesionlabError: A folder holds no report, the reports share no case or no metric, a name matches nothing, or a
            division has no data; or another command is writing into `out`.
    """
    with lock_folder(out):
        models = read_models(reports)
        by_name = {model.name: model.reports for model in models}
        tables = _choose(score_tables(by_name), metrics)
        limits = _margins(tables, margins or {})
        comparisons = tuple(
            compare_models(table, margin=limits.get(table.name, math.nan))
            for table in track(tables, what="comparing", total=len(tables))
        )
        strata = divide_patients(models, tables, by=by, columns=columns)
        notes = tuple(_notes(models, comparisons))
        files = _write(models, comparisons, strata, notes, out=out, title=title)
        return Compared(comparisons=comparisons, strata=strata, notes=notes, page=files[0], files=files)


def _write(
    models: Sequence[ModelReports],
    comparisons: Sequence[Comparison],
    strata: Sequence[Stratification],
    notes: Sequence[str],
    *,
    out: Path,
    title: str,
) -> tuple[Path, ...]:
    """Write the page, the numbers and the table; return the paths, the page first."""
    paper = write_tables(comparisons)
    page = render_comparison(
        comparisons,
        rules=list({rules.name: rules for model in models for rules in model.reports[0].rules}.values()),
        strata=strata,
        notes=notes,
        paper=paper,
        provenance={name: version(name) for name in SOFTWARE} | {"Python": platform.python_version()},
        title=title,
    )
    texts = {
        PAGE_FILE: page,
        "comparison.json": json.dumps(_described(comparisons, strata, notes), indent=1, ensure_ascii=False) + "\n",
        "table.md": paper.markdown,
        "table.csv": paper.csv,
        "table.tex": paper.latex,
    }
    for name, text in texts.items():
        write_text_atomically(out / name, text)
    return tuple(out / name for name in texts)


def _matches(table: ScoreTable, name: str) -> bool:
    return name in (table.name, f"{table.protocol}.{table.metric}", table.metric)


def _choose(tables: Sequence[ScoreTable], names: Sequence[str]) -> tuple[ScoreTable, ...]:
    for name in names:
        _check_known(tables, name)
    return tuple(table for table in tables if not names or any(_matches(table, name) for name in names))


def _margins(tables: Sequence[ScoreTable], margins: Mapping[str, float]) -> dict[str, float]:
    for name, margin in margins.items():
        _check_known(tables, name)
        if not (math.isfinite(margin) and margin > 0):
            raise OptionError(
                "a margin above 0",
                found=str(margin),
                where=name,
                next_step="give the largest difference that does not matter, in the metric's unit",
            )
    return {table.name: margin for name, margin in margins.items() for table in tables if _matches(table, name)}


def _check_known(tables: Sequence[ScoreTable], name: str) -> None:
    if not any(_matches(table, name) for table in tables):
        raise OptionError(
            "a metric of the reports",
            found=name,
            where="the names of metrics",
            next_step=f"choose from {', '.join(table.name for table in tables)}",
        )


def _notes(models: Sequence[ModelReports], comparisons: Sequence[Comparison]) -> list[str]:
    """What a reader must know first, as sentences."""
    shared = shared_cases({model.name: model.reports for model in models})
    tables = [comparison.table for comparison in comparisons]
    n = min(len(table.patients) for table in tables)
    notes = [f"{len(shared)} scans that every report holds are compared."]
    for model in models:
        further = sorted({case for report in model.reports for case in report.cases} - set(shared))
        if further:
            notes.append(
                f"Left out because another report lacks them: {len(further)} of {model.name} ({_some(further)})."
            )
    failed = [f"{table.name}: {model} {count}" for table in tables for model, count in table.penalised.items() if count]
    if failed:
        notes.append(
            f"Failures, undefined or infinite, count as the worst finite score that any model had: {'; '.join(failed)}."
        )
    absent = [f"{table.name}: {table.left_out}" for table in tables if table.left_out]
    if absent:
        notes.append(f"Scans without a score for any model are left out: {'; '.join(absent)}.")
    if n < FEW_PATIENTS:
        notes.append(_small_note(n, tables[0].counted))
    return notes


def _small_note(n: int, counted: str) -> str:
    said = f"Only {n} {counted}: a difference that is not shown may well be there; see what was detectable."
    if smallest_p_value(n) >= 0.05:
        said += f" No result of so few can be significant, as the smallest p-value is {smallest_p_value(n):.3g}."
    return said


def _some(cases: Sequence[str], most: int = 5) -> str:
    return ", ".join(cases[:most]) + (", …" if len(cases) > most else "")


def _described(
    comparisons: Sequence[Comparison], strata: Sequence[Stratification], notes: Sequence[str]
) -> dict[str, Any]:
    """Everything as plain numbers, NaN as null."""
    return {
        "bootstrap": {"resamples": interval.RESAMPLES, "seed": interval.SEED, "level": interval.LEVEL},
        "notes": list(notes),
        "comparisons": [_plain(asdict(comparison)) for comparison in comparisons],
        "strata": [_plain(asdict(part)) for part in strata],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
