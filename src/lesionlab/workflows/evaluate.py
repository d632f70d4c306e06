"""Score predicted masks against references and show the result."""

import logging
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from numpy.typing import ArrayLike

from lesionlab.core.case import Case, Split
from lesionlab.core.errors import GridError, LabelError, LesionlabError, OptionError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.ignored_option import ignored_option
from lesionlab.core.labels import Labels
from lesionlab.core.lesion_table import LESIONS_FILE, LesionRow, write_lesions
from lesionlab.core.metric import Spacing
from lesionlab.core.protocol import protocol
from lesionlab.core.report import Report, Rules, in_pixels
from lesionlab.core.split_rule import select_split
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.case_files import kind_of
from lesionlab.engine.processes import spread
from lesionlab.layouts.licence import find_citation
from lesionlab.metrics.class_measures import Measure
from lesionlab.pages.report_page import render_report
from lesionlab.workflows.case_pictures import draw_cases
from lesionlab.workflows.category_files import TABLE_FILE
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.evaluate_categories import evaluate_categories
from lesionlab.workflows.made_by import (
    NOBODY,
    Makers,
    join_notices,
    learned_line,
    makers_of_categories,
    makers_of_masks,
)
from lesionlab.workflows.model_card import card_evaluation
from lesionlab.workflows.prediction_files import is_table_of_pairs, match_predictions
from lesionlab.workflows.score_cases import Scoring, score_cases
from lesionlab.workflows.sealed import count_evaluation

logger = logging.getLogger(__name__)

PAGE_FILE = "report.html"
OFFICIAL = "lesionlab"
MADE_BY = "predictions made by"
"""Name of the line of a report's provenance that names checkpoints."""
SOFTWARE = ("lesionlab", "numpy", "scipy", "connected-components-3d", "nibabel")


class Scores(dict[str, float]):
    """Metric name -> value, with the reason of every value that is undefined or that a rule for empty masks gave.

    Attributes:
        reasons: Metric name -> reason; only those that have one.
    """

    def __init__(self, values: dict[str, float], *, reasons: dict[str, str]) -> None:
        super().__init__(values)
        self.reasons = reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation left behind.

    Attributes:
        report: Every score.
        page: The page to read.
        files: Every file written, the page included.
        measures: Of a classification, over all cases; empty for masks.
        lesions: Of masks, every lesion of both.
        makers: Which checkpoints made the predictions.
    """

    report: Report
    page: Path
    files: tuple[Path, ...]
    measures: tuple[Measure, ...] = ()
    lesions: tuple[LesionRow, ...] = ()
    makers: Makers = NOBODY


def score(
    predicted: ArrayLike,
    reference: ArrayLike,
    *,
    spacing_mm: Sequence[float],
    protocol: str = OFFICIAL,
    labels: Labels | None = None,
) -> Scores:
    """Score one mask against another; a 2-D image counts as a volume one voxel thick.

    Args:
        predicted: Label map, or, of a single region, a mask (of bools, or of 0 and 255) or probabilities, of which 0.5
            and more is lesion; in 2 or 3 dimensions. Arrays, tensors on the CPU and lists are taken.
        reference: The same, of the same shape; usually a label map with the data set's own stored values.
        spacing_mm: Distance between neighbouring voxels along each array axis.
        protocol: Whose rules (``lesionlab list protocols``).
        labels: What stored values mean, in both arrays; ignored ones are erased where the protocol has no rule for
            them. None takes what the protocol knows; of "lesionlab", that 1 is lesion.

    Returns:
        Values under the protocol's names; ``region.metric`` where it scores several regions.

    Raises:
        NameUnknownError: No protocol has this name.
        GridError: The shapes differ or have not two or three axes.
        OptionError: `spacing_mm` has not one positive number per axis.
        LabelError: One is no array, or holds a value that nobody declares, or the protocol knows other regions than
            `labels`.
    """
    masks = {"predicted": _as_array(predicted, where="predicted"), "reference": _as_array(reference, where="reference")}
    shapes = [mask.shape for mask in masks.values()]
    if shapes[0] != shapes[1] or len(shapes[0]) not in (2, 3):
        raise GridError(
            "two arrays of one shape with two or three axes",
            found=f"shapes {shapes[0]} and {shapes[1]}",
            where="predicted and reference",
            next_step="resample the prediction to the reference",
        )
    spacing = _checked_spacing(spacing_mm, axes=len(shapes[0]))
    scoring = Scoring.by([protocol], labels) if labels else Scoring.alone(protocol)
    volumes = [np.atleast_3d(scoring.stored_values(mask, where=where)) for where, mask in masks.items()]
    scores = [score for _, score in scoring.scores(volumes[0], volumes[1], spacing_mm=spacing)]
    has_one_region = len({score.region for score in scores}) == 1
    named = {score.metric if has_one_region else f"{score.region}.{score.metric}": score for score in scores}
    return Scores(
        {name: score.value for name, score in named.items()},
        reasons={name: score.reason for name, score in named.items() if score.reason},
    )


def _as_array(mask: ArrayLike, *, where: str) -> Shaped[np.ndarray, "..."]:
    try:
        return np.asarray(mask)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, tensors with a gradient or on a GPU
        raise LabelError(
            "an array", found=f"{type(mask).__name__}: {error}", where=where, next_step="give a NumPy array"
        ) from error


def evaluate(
    predictions: Path,
    data: str,
    out: Path,
    *,
    protocols: Sequence[str] = (OFFICIAL,),
    split: Split | None = None,
    title: str = "Evaluation",
    notice: str = "",
    split_file: Path | None = None,
    workers: int = 1,
) -> Evaluation:
    """Score the predicted mask of every case of a dataset; write tables, summary and page.

    A table of probabilities of categories, or a folder with such a ``categories.csv`` as a classifier's prediction
    leaves it, is scored as a classification, which has neither protocols nor workers.

    Where `lesionlab predict` made the predictions, the result is added to the model card of its checkpoint.

    Args:
        predictions: Folder of the masks or CSV file of pairs (`match_predictions` tells which names are known), or
            folder of ``categories.csv``, or such a table itself.
        data: LAYOUT:FOLDER of the references.
        out: Folder for ``report.html``, ``scores.csv``, ``cases.csv`` and ``summary.json``.
        protocols: Whose rules, at least one; the first one's first score chooses the cases to look at.
        split: Only the cases of this part; None takes all.
        title: Heading of the page.
        notice: A sentence that nobody may overlook, shown above everything; empty for none.
        split_file: A table that says which case is in which part; without it the dataset's own parts count.
        workers: Processes that score cases; the scores do not depend on it.

    Raises:
        OptionError: Protocols or workers are given for a classification.
        LesionlabError: As `evaluate_cases`, or the folder does not follow its layout.
    """
    table = _find_categories(predictions)
    if table is not None:
        _refuse_ignored(protocols, workers, where=table)
    name, layout = open_divided(data, split_file)
    cases = select_split(layout.cases(), split, where=data)
    with lock_folder(out):
        if table is not None:
            makers = makers_of_categories(table, [case.id for case in cases])
            provenance = _provenance(makers, predictions, cases, out=out, split_file=split_file)
            shown = join_notices(notice, provenance)
            report, measures, files = evaluate_categories(
                table, cases, out, provenance=provenance, title=title, notice=shown
            )
            found = Evaluation(report=report, page=files[0], files=files, measures=measures, makers=makers)
        else:
            found = evaluate_cases(
                predictions,
                cases,
                layout.labels,
                protocols=protocols,
                out=out,
                title=title,
                notice=notice,
                workers=workers,
                split_file=split_file,
            )
        card = _note_on_card(found, cases, data=name, citation=find_citation(layout.folder), title=title, notice=notice)
        return replace(found, files=(*found.files, *card))


def _find_categories(predictions: Path) -> Path | None:
    """Return the table of probabilities of categories that predictions are; None where they are masks."""
    table = predictions / TABLE_FILE if predictions.is_dir() else predictions
    return table if table.is_file() and not is_table_of_pairs(table) else None


def _refuse_ignored(protocols: Sequence[str], workers: int, *, where: Path) -> None:
    """Refuse what a classification makes no use of."""
    because = "only for predicted masks, not for probabilities of categories"
    if tuple(protocols) != (OFFICIAL,):
        raise ignored_option("--protocol", value=",".join(protocols), because=because, where=where)
    if workers != 1:
        raise ignored_option("--workers", value=workers, because=because, where=where)


def evaluate_cases(
    predictions: Path,
    cases: Sequence[Case],
    labels: Labels,
    *,
    protocols: Sequence[str],
    out: Path,
    title: str = "Evaluation",
    notice: str = "",
    workers: int = 1,
    split_file: Path | None = None,
) -> Evaluation:
    """Score the predicted mask of every case against its reference; write tables, summary and page.

    Args:
        predictions: Folder of the masks, or CSV file of pairs.
        cases: What was to be predicted; each with a reference.
        labels: What stored values mean; a mask with others is refused.
        protocols: Whose rules, at least one; the first one's first score chooses the cases to look at.
        out: Folder for ``report.html``, ``scores.csv``, ``cases.csv`` and ``summary.json``.
        title: Heading of the page.
        notice: A sentence that nobody may overlook, shown above everything; empty for none.
        workers: Processes that score cases; the scores do not depend on it.
        split_file: That the cases were divided by; evaluations of sealed cases are counted beside it.

    Raises:
        OptionError: `workers` is less than one.
        NameUnknownError: No protocol has one of the names.
        LayoutError: There is no case, or some lack a prediction or a reference; nothing is scored then.
        CasesError: A prediction lies elsewhere than its reference, or a mask holds a value that `labels` does not
            declare; every such case is named.
        LabelError: A protocol knows other regions than `labels`.
    """
    scoring = Scoring.by(_with_official(protocols), labels)
    masks = match_predictions(predictions, cases)
    makers = makers_of_masks(masks)
    rules = tuple(
        Rules(name=name, title=rules.title, citation=rules.citation, is_legacy=rules.is_legacy)
        for name, rules in scoring.protocols.items()
    )
    with spread(min(workers, len(cases))) as each:
        rows, lesions = score_cases(cases, masks, scoring=scoring, each=each)
        provenance = _provenance(makers, predictions, cases, out=out, split_file=split_file)
        kind = kind_of(cases)
        rows = tuple(map(in_pixels, rows)) if kind == "picture" else rows
        report = Report(rows=rows, rules=rules, provenance=provenance, kind=kind)
        pictures = draw_cases(report, cases, masks=masks, labels=labels, each=each)
        tables = report.write(out)
        write_lesions(out / LESIONS_FILE, lesions, kind=kind)
        shown = join_notices(notice, provenance)
        page = render_report(report, title=title, notice=shown, pictures=pictures, lesions=lesions)
    write_text_atomically(out / PAGE_FILE, page)
    files = (out / PAGE_FILE, *tables, out / LESIONS_FILE)
    return Evaluation(report=report, page=out / PAGE_FILE, files=files, lesions=tuple(lesions), makers=makers)


def _note_on_card(
    found: Evaluation,
    cases: Sequence[Case],
    *,
    data: str,
    citation: str,
    title: str,
    notice: str,
) -> tuple[Path, ...]:
    """Add the evaluation to the model card of the checkpoint that made the predictions, where there is one."""
    try:
        maker = found.makers.sole
        if maker is None and found.makers.made:
            logger.warning("no model card was written, for not all is of one checkpoint: %s", found.makers.describe())
        checkpoint = maker.find() if maker else None
        if checkpoint is None:
            return ()
        page = card_evaluation(
            checkpoint,
            found.report,
            cases,
            measures=found.measures,
            lesions=found.lesions,
            data=data,
            citation=citation,
            title=title,
            notice=notice,
        )
    except LesionlabError as error:  # a damaged checkpoint, say, or somebody else's; the report is whole all the same
        logger.warning("the model card was not written: %s", error)
        return ()
    return (page,)


def _with_official(names: Sequence[str]) -> list[str]:
    """Return the names, and ordinary rules where all are legacy: no legacy figure is shown alone."""
    is_legacy = [bool(getattr(protocol.get(name), "is_legacy", False)) for name in names]
    return [*names, OFFICIAL] if all(is_legacy) else list(names)


def _checked_spacing(spacing_mm: Sequence[float], *, axes: int) -> Spacing:
    if len(spacing_mm) != axes or not all(math.isfinite(mm) and mm > 0 for mm in spacing_mm):
        raise OptionError(
            f"{axes} positive numbers, one per axis",
            found=str(tuple(spacing_mm)),
            where="spacing_mm",
            next_step="give the distance between voxels along each array axis in mm",
        )
    x, y, z = (float(mm) for mm in (*spacing_mm, 1.0)[:3])
    return (x, y, z)


def _provenance(
    makers: Makers, predictions: Path, cases: Sequence[Case], *, out: Path, split_file: Path | None
) -> dict[str, str]:
    """Return software and makers, and how often sealed cases were evaluated; this evaluation is counted."""
    software = {name: version(name) for name in SOFTWARE} | {"Python": platform.python_version()}
    made = {MADE_BY: makers.describe()} if makers.made else {}
    counted = count_evaluation(predictions, cases, out=out, split_file=split_file, makers=makers)
    return software | made | learned_line(makers, cases) | counted
