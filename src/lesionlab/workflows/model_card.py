"""Keep the model card of a checkpoint: `train`, `tune` and `evaluate` add what they learn."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import lesionlab.networks  # noqa: F401  # registers what a plan may name
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError
from lesionlab.core.learned_cases import LearnedCases
from lesionlab.core.lesion_table import LesionRow
from lesionlab.core.model_card import Figure, ModelCard, Part, Result, Source, SubsetFigure, read_card, write_card
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.core.report import Report
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.case_files import kind_of
from lesionlab.engine.checkpoint import Checkpoint, build_planned_network, open_checkpoint
from lesionlab.engine.recorder import read_history
from lesionlab.layouts.licence import find_citation, find_licence
from lesionlab.metrics.class_measures import Measure
from lesionlab.pages.model_card_page import render_card
from lesionlab.statistics.comparison import ModelScore
from lesionlab.statistics.score_table import score_tables
from lesionlab.statistics.strata import Stratification
from lesionlab.workflows.model_reports import ModelReports
from lesionlab.workflows.patient_parts import divide_patients
from lesionlab.workflows.sealed import SEALED

PAGE_FILE = "model_card.md"


def card_training(training: Path, *, data: Path, cases: Sequence[Case]) -> Path:
    """Write into the best checkpoint of a training what it learned from; evaluations of these weights stay.

    Args:
        training: Folder of the training.
        data: The dataset's folder, which may state a citation and a licence.
        cases: Those that weights were fitted to.

    Returns:
        The page.

    Raises:
        CheckpointError: The checkpoint or an earlier card in it is damaged.
        StorageError: metrics.jsonl is damaged.
        StorageError: The card could not be written.
    """
    source = Source(
        citation=find_citation(data),
        licence=find_licence(data),
        patients=_patients(cases),
        kind=kind_of(cases),
        sites=dict(sorted(Counter(case.site for case in cases if case.site).items())),
    )
    best = open_checkpoint(training / "best")
    facts = {"source": source, "training_hours": _hours(training / "metrics.jsonl")}
    return _write(best, read_card(best.folder).model_copy(update=facts))


def card_evaluation(
    checkpoint: Checkpoint,
    report: Report,
    cases: Sequence[Case],
    *,
    measures: Sequence[Measure] = (),
    lesions: Sequence[LesionRow] = (),
    data: str,
    citation: str,
    title: str,
    notice: str,
) -> Path:
    """Add an evaluation to the card of the checkpoint that made the predictions; return the page.

    Args:
        checkpoint: Whose weights they were.
        report: Every score.
        cases: What was evaluated.
        measures: Of a classification.
        lesions: Of masks.
        data: Name of the cases' layout.
        citation: Of their dataset, as its own files state it; empty where they do not.
        title: Of the evaluation.
        notice: A sentence that nobody may overlook, or empty.

    Raises:
        CheckpointError: An earlier card is damaged.
        StorageError: The card could not be written.
    """
    ids = sorted(case.id for case in cases)
    overlap = LearnedCases.of(checkpoint.plan).overlap(cases)
    result = Result(
        key=hashlib.sha256(json.dumps([data, ids]).encode()).hexdigest()[:16],
        title=title,
        notice=notice,
        data=data,
        citation=citation,
        cases=len(ids),
        patients=_patients(cases),
        learned_from=len(overlap.training),
        chosen_by=len(overlap.validation),
        sealed=report.provenance.get(SEALED, ""),
        day=datetime.now(UTC).date().isoformat(),
        figures=_of_measures(measures) if measures else _of_summary(report),
        parts=_parts(report, lesions),
    )
    return _write(checkpoint, read_card(checkpoint.folder).with_result(result))


def card_subsets(checkpoint: Checkpoint, subsets: Sequence[SubsetFigure]) -> Path:
    """Put the table of modality subsets into the card of a checkpoint, in the place of an earlier one.

    Raises:
        CheckpointError: An earlier card is damaged.
        StorageError: The card could not be written.
    """
    return _write(checkpoint, read_card(checkpoint.folder).model_copy(update={"subsets": tuple(subsets)}))


def card_postprocessing(checkpoint: Checkpoint, choice: Postprocessing) -> Path:
    """Write the page anew after tuning; evaluations that were made with another choice are dropped.

    Args:
        checkpoint: As it was opened before tuning.
        choice: What is in its folder now.

    Raises:
        CheckpointError: An earlier card is damaged.
        StorageError: The card could not be written.
    """
    card = read_card(checkpoint.folder)
    if choice != checkpoint.postprocessing:
        card = card.model_copy(update={"results": (), "subsets": ()})
    return _write(replace(checkpoint, postprocessing=choice), card)


def _write(checkpoint: Checkpoint, card: ModelCard) -> Path:
    write_card(checkpoint.folder, card)
    provenance, page = checkpoint.provenance, checkpoint.folder / PAGE_FILE
    with torch.device("meta"):
        parameters = sum(part.numel() for part in build_planned_network(checkpoint.plan).parameters())
    training, machine = provenance["training"], provenance["machine"]
    has_best = training.get("best_score", -1) >= 0
    text = render_card(
        card,
        plan=checkpoint.plan,
        postprocessing=checkpoint.postprocessing,
        parameters=parameters,
        versions=provenance["versions"],
        machine=f"{machine['cores']} cores, {machine['processor']}, {machine['system']}",
        best=f"{checkpoint.plan.chosen_by} {training['best_score']:.3f} at step {training['best_step']:,}"
        if has_best
        else "",
    )
    write_text_atomically(page, text)
    return page


def _patients(cases: Sequence[Case]) -> int | None:
    """Return how many patients cases are of; None for pictures that are each taken as a patient of their own."""
    patients = {case.group for case in cases}
    is_told = len(patients) < len(cases) or any(case.group != case.id for case in cases)
    return len(patients) if is_told or kind_of(cases) == "volume" else None


def _hours(metrics: Path) -> float:
    """Return the time of all steps by the clock, validations left out; a line of no steps has no speed."""
    lines = [line for line in read_history(metrics) if "steps_per_second" in line]
    steps = np.diff([0, *(line["step"] for line in lines)])
    speeds = np.array([line["steps_per_second"] for line in lines])
    return float(np.sum(steps[speeds > 0] / speeds[speeds > 0]) / 3600)


def _of_measures(measures: Sequence[Measure]) -> tuple[Figure, ...]:
    return tuple(
        Figure(name=f"{one.name} {one.of}".strip(), unit="1", value=one.value, low=one.low, high=one.high, n=one.n)
        for one in measures
    )


def _of_summary(report: Report) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            name=f"{line.protocol}.{line.region}.{line.metric}",
            unit=line.unit,
            value=line.mean,
            low=line.low,
            high=line.high,
            n=line.n_defined,
        )
        for line in report.summary
    )


def _parts(report: Report, lesions: Sequence[LesionRow]) -> tuple[Part, ...]:
    """Return the first metric of the first official rules by site and load, and the lesions found by their size."""
    leading = next((rules.name for rules in report.rules if not rules.is_legacy), report.rules[0].name)
    try:
        tables = [table for table in score_tables({"": (report,)}) if table.protocol == leading]
    except LayoutError:  # every score is undefined
        return ()
    chosen = [table for table in tables if table.metric == tables[0].metric]
    model = ModelReports(name="", reports=(report,), lesions=(tuple(lesions) or None,))
    return tuple(
        Part(by=division.by, name=stratum.name, counted=division.counted, figure=_figure(division, stratum.models[0]))
        for division in divide_patients((model,), chosen, by=(), columns=None)
        for stratum in division.strata
    )


def _figure(division: Stratification, score: ModelScore) -> Figure:
    ends = score.interval
    return Figure(name=division.metric, unit=division.unit, value=score.mean, low=ends.low, high=ends.high, n=score.n)
