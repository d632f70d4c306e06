"""Find the threshold and the smallest lesion on validation cases and write them into the checkpoint."""

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
from jaxtyping import Float

import lesionlab.metrics
import lesionlab.networks  # noqa: F401  # registers what a plan may name
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, OptionError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.metric import MaskPair, Metric, metric
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.core.progress import track
from lesionlab.core.split import refuse_sealed
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.engine.checkpoint import Checkpoint, open_checkpoint, save_postprocessing
from lesionlab.engine.postprocess import to_masks
from lesionlab.engine.predictor import Predictor
from lesionlab.layouts.opening import open_layout
from lesionlab.pages.tuning_plot import draw_surface
from lesionlab.workflows.case_masks import read_reference_regions
from lesionlab.workflows.model_card import card_postprocessing
from lesionlab.workflows.tune_categories import tune_categories

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 20))
SMALLEST_LESIONS_MM3 = (0.0, 3.0, 6.0, 10.0, 15.0, 25.0, 50.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What tuning chose.

    Attributes:
        postprocessing: Now in the checkpoint.
        score: Its mean over validation cases.
        files: Table and picture of all scores, and the file of the choice.
    """

    postprocessing: Postprocessing
    score: float
    files: tuple[Path, ...]


def tune(
    checkpoint: Path,
    data: str,
    *,
    score: str = "dice",
    thresholds: Sequence[float] = THRESHOLDS,
    smallest_lesions_mm3: Sequence[float] = SMALLEST_LESIONS_MM3,
) -> Tuned:
    """Score every pair of threshold and smallest lesion on the validation cases, and keep the best.

    Of a classifier of two categories, the threshold above which the second is predicted is chosen; `score` is then
    balanced_accuracy (also where dice is asked for, which cases do not have), accuracy or f1.

    Only cases that the plan names for validation are used, so that test cases can never choose. Of equal scores the
    first wins: the lowest threshold, then the smallest size.

    Args:
        checkpoint: Folder of a checkpoint, or of a training (its best is used).
        data: LAYOUT:FOLDER that the network was trained with.
        score: A metric that is a fraction with 1 as its best value (lesionlab list metrics). A case without lesion
            and without prediction scores 1.
        thresholds: Candidates.
        smallest_lesions_mm3: Candidates.

    Raises:
        OptionError: The metric is no fraction.
        LayoutError: The data hold none of the plan's validation cases.
        SplitError: A validation case belongs to a sealed test set.
        LesionlabError: Checkpoint or data cannot be used.
    """
    opened = open_checkpoint(checkpoint)
    cases = _validation_cases(opened, data)
    with lock_folder(opened.training):
        if opened.plan.categories:
            named = "balanced_accuracy" if score == "dice" else score
            choice, value, written = tune_categories(opened, cases, score=named, thresholds=thresholds)
            return Tuned(postprocessing=choice, score=value, files=(*written, card_postprocessing(opened, choice)))
        measured = _fraction(score)
        predictor = Predictor(opened, opened.plan.recipe.inference)
        candidates = [
            Postprocessing(threshold=threshold, smallest_lesion_mm3=size)
            for threshold, size in itertools.product(thresholds, smallest_lesions_mm3)
        ]
        tracked = track(cases, what="tuning", total=len(cases))
        scores = np.stack([_score_case(predictor, case, candidates=candidates, measured=measured) for case in tracked])
        surface = scores.mean(axis=0).reshape(len(thresholds), len(smallest_lesions_mm3))
        best = int(surface.argmax())
        how = f"highest mean {score} of {len(cases)} validation cases"
        chosen = candidates[best].model_copy(update={"chosen_by": how})
        save_postprocessing(opened, chosen)
        card = card_postprocessing(opened, chosen)
        files = _write_surface(opened.folder, surface, score=score, thresholds=thresholds, sizes=smallest_lesions_mm3)
        made = (*files, opened.folder / "postprocessing.json", card)
        return Tuned(postprocessing=chosen, score=float(surface.flat[best]), files=made)


def _fraction(score: str) -> Metric:
    measured = metric.build(score)
    if measured.unit != "1" or not measured.is_higher_better:
        raise OptionError(
            "a metric that is a fraction, higher being better",
            found=f"{score} in {measured.unit}",
            where="--score",
            next_step="choose dice, lesion_f1 or another of lesionlab list metrics",
        )
    return measured


def _validation_cases(checkpoint: Checkpoint, data: str) -> list[Case]:
    _, layout = open_layout(data)
    checkpoint.check_modalities(layout.modalities, where=data)
    wanted = set(checkpoint.plan.validation_cases)
    refuse_sealed(wanted, checkpoint.plan.sealed, where=checkpoint.folder)
    is_known = attrgetter("category" if checkpoint.plan.categories else "label")
    cases = [case for case in layout.cases() if case.id in wanted and is_known(case) is not None]
    if not cases:
        raise LayoutError(
            f"the plan's validation cases ({', '.join(sorted(wanted)[:4])}, ...)",
            found="none of them",
            where=data,
            next_step="give the data that the network was trained with",
        )
    return cases


def _score_case(
    predictor: Predictor, case: Case, *, candidates: Sequence[Postprocessing], measured: Metric
) -> Float[np.ndarray, "candidate"]:
    prediction = predictor.predict(case)
    plan = predictor.checkpoint.plan
    labels, modality = plan.labels, plan.recipe.modalities[0]
    grid = prediction.grid
    reference = read_reference_regions(case, grid=grid, modality=modality, labels=labels)
    scores = []
    for candidate in candidates:
        masks = to_masks(prediction.probabilities, candidate, voxel_volume_mm3=grid.voxel_volume_mm3)
        pairs = (
            MaskPair(predicted=mask & reference.counted, reference=true, spacing_mm=grid.spacing_mm)
            for mask, true in zip(masks, reference.masks, strict=True)
        )
        scores.append(np.mean([_value(measured, pair) for pair in pairs]))
    return np.array(scores)


def _value(measured: Metric, pair: MaskPair) -> float:
    """Return the metric; where it is undefined, 1 if prediction and reference agree that there is nothing, else 0."""
    value = measured(pair)
    if np.isnan(value):
        return float(pair.predicted_voxels == 0 and pair.reference_voxels == 0)
    return value


def _write_surface(
    folder: Path,
    surface: Float[np.ndarray, "threshold size"],
    *,
    score: str,
    thresholds: Sequence[float],
    sizes: Sequence[float],
) -> tuple[Path, Path]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["threshold", "smallest_lesion_mm3", f"mean_{score}"])
    for (threshold, size), value in zip(itertools.product(thresholds, sizes), surface.ravel(), strict=True):
        writer.writerow([threshold, size, f"{value:.6f}"])
    table, picture = folder / "tuning.csv", folder / "tuning.png"
    write_text_atomically(table, buffer.getvalue())
    write_bytes_atomically(picture, draw_surface(surface, thresholds=thresholds, sizes=sizes, score=score))
    return table, picture
