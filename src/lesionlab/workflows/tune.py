"""Find the threshold and the smallest lesion on validation cases and write them into the checkpoint."""

import csv
import io
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

import lesionlab.metrics
import lesionlab.networks  # noqa: F401  # registers what a plan may name
from lesionlab.core.case import SIZE_UNITS, Case
from lesionlab.core.errors import OptionError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, metric
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.engine.case_files import kind_of, read_mask
from lesionlab.engine.case_loop import work_on_every_case
from lesionlab.engine.checkpoint import Checkpoint, open_checkpoint, save_postprocessing
from lesionlab.engine.postprocess import to_masks
from lesionlab.engine.predictor import Predictor
from lesionlab.pages.tuning_plot import draw_surface
from lesionlab.workflows.case_masks import read_reference_regions
from lesionlab.workflows.model_card import card_postprocessing
from lesionlab.workflows.tune_categories import tune_categories
from lesionlab.workflows.tuning_choice import (
    STANDARD_ERROR,
    Choice,
    choose_setting,
    describe_choice,
    leave_one_out_means,
    warn_of_choice,
)
from lesionlab.workflows.validation_cases import find_validation_cases

logger = logging.getLogger(__name__)

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 20))
SMALLEST_LESIONS_MM3 = (0.0, 3.0, 6.0, 10.0, 15.0, 25.0, 50.0)
TABLE_FILE, PICTURE_FILE = "tuning.csv", "tuning.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What tuning chose.

    Attributes:
        postprocessing: Now in the checkpoint.
        score: Its mean over validation cases.
        score_name: The metric: "dice", or of a classifier "balanced_accuracy" and the like.
        has_smallest_lesion: Whether a smallest lesion was chosen, too; False of a classifier.
        size_unit: In which the smallest lesion is: "mm3", of pictures "px".
        files: Table and picture of all scores, and the file of the choice.
    """

    postprocessing: Postprocessing
    score: float
    score_name: str
    has_smallest_lesion: bool
    files: tuple[Path, ...]
    size_unit: str = "mm3"


def tune(
    checkpoint: Path,
    data: str,
    *,
    score: str = "dice",
    thresholds: Sequence[float] = THRESHOLDS,
    smallest_lesions_mm3: Sequence[float] = SMALLEST_LESIONS_MM3,
    split_file: Path | None = None,
) -> Tuned:
    """Score every pair of threshold and smallest lesion on the validation cases, and keep the best by the 1 SE rule.

    Of a classifier of two categories, the threshold above which the second is predicted is chosen; `score` is then
    balanced_accuracy (also where dice is asked for, which cases do not have), accuracy or f1.

    Only cases that the plan names for validation are used, with the images that they had then, so that test cases can
    never choose. Of the pairs whose mean score is below the highest by no more than the standard error of the paired
    differences over cases, the one that changes least wins: the threshold nearest to 0.5, then the smallest lesion
    nearest to 0. With one case, which has no standard error, these are 0.5 and 0 mm3.

    Args:
        checkpoint: Folder of a checkpoint, or of a training (its best is used).
        data: LAYOUT:FOLDER that the network was trained with.
        score: A metric that is a fraction with 1 as its best value (lesionlab list metrics). A case without lesion
            and without prediction scores 1.
        thresholds: Candidates.
        smallest_lesions_mm3: Candidates.
        split_file: That the cases were divided by; its test cases are refused.

    Raises:
        OptionError: The metric is no fraction.
        LayoutError: The data hold none of the plan's validation cases, or other images under their ids.
        SplitError: A validation case is a test case here, or belongs to a sealed test set.
        CasesError: Some of the cases cannot be scored; each is named with its reason.
        LesionlabError: Checkpoint or data cannot be used.
    """
    opened = open_checkpoint(checkpoint)
    cases = find_validation_cases(opened, data, split_file=split_file)
    planned = len(opened.plan.validation_cases)
    said = f"{len(cases)} validation cases" if len(cases) == planned else f"{len(cases)} of {planned} validation cases"
    with lock_folder(opened.training):
        if opened.plan.categories:
            named = "balanced_accuracy" if score == "dice" else score
            setting, value, files = tune_categories(opened, cases, score=named, thresholds=thresholds, said=said)
            files = (*files, card_postprocessing(opened, setting))
            return Tuned(postprocessing=setting, score=value, score_name=named, has_smallest_lesion=False, files=files)
        return _tune_masks(
            opened, cases, score=score, thresholds=thresholds, smallest_lesions_mm3=smallest_lesions_mm3, said=said
        )


def _tune_masks(
    opened: Checkpoint,
    cases: Sequence[Case],
    *,
    score: str,
    thresholds: Sequence[float],
    smallest_lesions_mm3: Sequence[float],
    said: str,
) -> Tuned:
    """Choose threshold and smallest lesion of a segmentation; see `tune`."""
    measured = _fraction(score)
    predictor = Predictor(opened, opened.plan.recipe.inference)
    candidates = [
        Postprocessing(threshold=threshold, smallest_lesion_mm3=size)
        for threshold, size in itertools.product(thresholds, smallest_lesions_mm3)
    ]
    score_case = partial(_score_case, predictor, candidates=candidates, measured=measured)
    scores = np.stack(work_on_every_case(cases, what="tuning", work=score_case))
    _warn_of_no_lesion(cases, opened.plan.labels)
    means = scores.mean(axis=0)
    choice = choose_setting(candidates, means, leave_one_out_means(scores))
    how = describe_choice(choice, means, score=f"mean {score}", cases=said)
    setting = candidates[choice.place].model_copy(update={"chosen_by": how})
    sizes, unit = smallest_lesions_mm3, SIZE_UNITS[kind_of(cases)]
    warn_of_choice(setting, cases=len(cases), thresholds=thresholds, smallest_lesions_mm3=sizes, size_unit=unit)
    save_postprocessing(opened, setting)
    table = _table(candidates, means, choice, score=score, unit=unit)
    surface = means.reshape(len(thresholds), len(sizes))
    picture = draw_surface(surface, thresholds=thresholds, sizes=sizes, unit=unit, score=score, chosen=choice.place)
    write_text_atomically(opened.folder / TABLE_FILE, table)
    write_bytes_atomically(opened.folder / PICTURE_FILE, picture)
    made = (opened.folder / name for name in (TABLE_FILE, PICTURE_FILE, "postprocessing.json"))
    files = (*made, card_postprocessing(opened, setting))
    return Tuned(
        postprocessing=setting,
        score=float(means[choice.place]),
        score_name=score,
        has_smallest_lesion=True,
        files=files,
        size_unit=unit,
    )


def _warn_of_no_lesion(cases: Sequence[Case], labels: Labels) -> None:
    if not any(labels.regions_of(read_mask(case, labels).array).any() for case in cases):
        logger.warning("no lesion in any of the %d validation cases: what is chosen says little", len(cases))


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


def _table(
    candidates: Sequence[Postprocessing],
    means: Float[np.ndarray, "candidate"],
    choice: Choice,
    *,
    score: str,
    unit: str,
) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["threshold", f"smallest_lesion_{unit}", f"mean_{score}", STANDARD_ERROR])
    for candidate, mean, error in zip(candidates, means, choice.standard_errors, strict=True):
        words = [f"{mean:.6f}", "" if np.isnan(error) else f"{error:.6f}"]
        writer.writerow([candidate.threshold, candidate.smallest_lesion_mm3, *words])
    return buffer.getvalue()
