"""Score what was said of whole cases against their categories and show the result."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError
from lesionlab.core.registry import nearest_name
from lesionlab.core.report import Report, Row, Rules
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.engine.case_files import kind_of
from lesionlab.metrics.class_measures import Judged, Measure, measure
from lesionlab.metrics.classes import (
    calibration_bins,
    confusion,
    log_losses,
    sensitivity,
    specificity,
    squared_errors,
    what_was_said,
)
from lesionlab.metrics.roc import characteristic, delong_area
from lesionlab.pages.classification_page import ClassifiedCase, render_classification
from lesionlab.pages.roc_plot import draw_calibration, draw_roc
from lesionlab.workflows.category_files import read_categories

RULES = Rules(
    name="classification",
    title="Classification of whole cases",
    citation="Collins et al. 2024, TRIPOD+AI, doi:10.1136/bmj-2023-078378",
    is_legacy=False,
)
PAGE_FILE, MEASURES_FILE, MEASURES_JSON = "report.html", "measures.csv", "measures.json"
ROC_FILE, CALIBRATION_FILE = "roc.png", "calibration.png"


def evaluate_categories(
    table: Path, cases: Sequence[Case], out: Path, *, provenance: dict[str, str], title: str, notice: str = ""
) -> tuple[Report, tuple[Measure, ...], tuple[Path, ...]]:
    """Score a table of probabilities; write measures with intervals, pictures, a report of single cases, and a page.

    Args:
        table: As `lesionlab predict` writes it, or any other with its columns.
        cases: What was to be predicted, each with a category.
        out: Folder of all files.
        provenance: What made the scores.
        title: Heading of the page.
        notice: A sentence that nobody may overlook, shown above everything; empty for none.

    Returns:
        The report of single cases, the measures over all, and the files, the page first.

    Raises:
        LayoutError: The table cannot be read, or a case lacks a row or category; all cases are of one category.
        StorageError: A file could not be written whole.
    """
    judged = _judge(table, cases)
    measures = measure(judged)
    report = Report(rows=tuple(_rows(judged, cases)), rules=(RULES,), provenance=provenance, kind=kind_of(cases))
    pictures = {ROC_FILE: _draw_curves(judged), CALIBRATION_FILE: _draw_calibration(judged)}
    for name, png in pictures.items():
        write_bytes_atomically(out / name, png)
    write_text_atomically(out / MEASURES_FILE, _as_table(measures))
    write_text_atomically(out / MEASURES_JSON, _as_json(measures))
    tables = report.write(out)
    page = render_classification(
        measures,
        confusion=confusion(judged.reference, judged.predicted, classes=len(judged.classes))[0],
        classes=judged.classes,
        cases=_shown(judged, cases),
        pictures={
            "Receiver operating characteristic; a ring is what was predicted": pictures[ROC_FILE],
            "Calibration: what happened against what was said": pictures[CALIBRATION_FILE],
        },
        provenance=provenance,
        title=title,
        counted=report.counted,
        notice=notice,
    )
    write_text_atomically(out / PAGE_FILE, page)
    names = (PAGE_FILE, MEASURES_FILE, MEASURES_JSON, ROC_FILE, CALIBRATION_FILE)
    return report, measures, (*(out / name for name in names), *tables)


def _judge(table: Path, cases: Sequence[Case]) -> Judged:
    lacking = [case.id for case in cases if not case.category]
    if lacking:
        raise _error(
            table,
            "a category for every case",
            f"none for {len(lacking)} of {len(cases)}: {', '.join(lacking[:8])}",
            "fill in the column category, or evaluate another split (--split)",
        )
    said = read_categories(table, cases)
    found = sorted({case.category or "" for case in cases})
    unknown = [name for name in found if name not in said.categories]
    if unknown:
        advice = nearest_name(unknown[0], list(said.categories))
        raise _error(table, f"the categories {', '.join(said.categories)} of the table", f"also {unknown[0]!r}", advice)
    if len(found) < 2:
        raise _error(table, "cases of at least two categories", f"only {found[0]!r}", "evaluate others with them")
    return Judged(
        probabilities=np.stack([said.probabilities[case.id] for case in cases]),
        predicted=np.array([said.predicted[case.id] for case in cases]),
        reference=np.array([said.categories.index(case.category or "") for case in cases]),
        groups=tuple(case.group for case in cases),
        classes=said.categories,
    )


def _rows(judged: Judged, cases: Sequence[Case]) -> list[Row]:
    values = {
        "correct": (judged.predicted == judged.reference).astype(float),
        "brier": squared_errors(judged.probabilities, judged.reference),
        "log_loss": log_losses(judged.probabilities, judged.reference),
    }
    return [
        Row(
            case=case.id,
            group=case.group,
            site=case.site,
            protocol=RULES.name,
            region="case",
            metric=name,
            value=float(numbers[place]),
            unit="1",
            is_higher_better=name == "correct",
            reason="",
        )
        for place, case in enumerate(cases)
        for name, numbers in values.items()
    ]


def _draw_curves(judged: Judged) -> bytes:
    table = confusion(judged.reference, judged.predicted, classes=len(judged.classes))
    found, spared = sensitivity(table)[0], specificity(table)[0]
    curves, areas, operating = {}, {}, {}
    for number in judged.found_classes:
        name, has_class = judged.classes[number], judged.reference == number
        if has_class.any() and not has_class.all():
            scores = judged.probabilities[:, number]
            curves[name] = characteristic(scores, has_class)
            areas[name] = delong_area(scores, has_class, groups=judged.groups)
            operating[name] = (1 - float(spared[number]), float(found[number]))
    return draw_roc(curves, areas, operating=operating)


def _draw_calibration(judged: Judged) -> bytes:
    said, came_true = what_was_said(judged.probabilities, judged.reference)
    is_pair = len(judged.classes) == 2
    forecast = f"probability of {judged.classes[1]}" if is_pair else "probability of the likeliest class"
    return draw_calibration(calibration_bins(said, came_true), forecast=forecast)


def _shown(judged: Judged, cases: Sequence[Case]) -> list[ClassifiedCase]:
    return [
        ClassifiedCase(
            case=case.id,
            site=case.site,
            reference=judged.classes[judged.reference[place]],
            predicted=judged.classes[judged.predicted[place]],
            own_probability=float(judged.probabilities[place, judged.reference[place]]),
        )
        for place, case in enumerate(cases)
    ]


def _as_table(measures: Sequence[Measure]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, [field.name for field in fields(Measure)], lineterminator="\n")
    writer.writeheader()
    for one in measures:
        writer.writerow({name: "" if value != value else value for name, value in asdict(one).items()})
    return buffer.getvalue()


def _as_json(measures: Sequence[Measure]) -> str:
    def plain(one: Measure) -> dict[str, object]:
        found = asdict(one)
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in found.items()
        }

    return json.dumps({"format": 1, "level": 0.95, "measures": [plain(one) for one in measures]}, indent=1) + "\n"


def _error(table: Path, wanted: str, found: str, next_step: str) -> LayoutError:
    return LayoutError(wanted, found=found, where=table, next_step=next_step)
