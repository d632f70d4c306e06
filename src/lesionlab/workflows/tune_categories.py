"""Find the threshold of a classifier of two categories on validation cases."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from lesionlab.core.case import Case
from lesionlab.core.errors import CheckpointError, OptionError
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.core.registry import nearest_name
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.case_loop import work_on_every_case
from lesionlab.engine.category_predictor import CategoryPredictor
from lesionlab.engine.checkpoint import Checkpoint, save_postprocessing
from lesionlab.metrics.classes import accuracy, balanced_accuracy, confusion, f1
from lesionlab.workflows.tuning_choice import STANDARD_ERROR, Choice, choose_setting, describe_choice, warn_of_choice

SCORES: dict[str, Callable[[Float[np.ndarray, "one class class"]], float]] = {
    "balanced_accuracy": lambda table: float(balanced_accuracy(table)[0]),
    "accuracy": lambda table: float(accuracy(table)[0]),
    "f1": lambda table: float(np.nan_to_num(f1(table)[0, 1])),
}


def tune_categories(
    checkpoint: Checkpoint, cases: Sequence[Case], *, score: str, thresholds: Sequence[float], said: str
) -> tuple[Postprocessing, float, tuple[Path, ...]]:
    """Score every threshold on the validation cases, and write the choice into the checkpoint.

    Of thresholds that the cases cannot tell from the best, the one nearest to 0.5 wins; see
    `lesionlab.workflows.tuning_choice.choose_setting`.

    Args:
        checkpoint: Of a classifier of two categories.
        cases: The plan's validation cases, each with a category.
        score: One of `SCORES`.
        thresholds: Candidates.
        said: How many validation cases there are, in words.

    Returns:
        The choice, its score, and the files: the table of all scores and the choice.

    Raises:
        CheckpointError: It tells more than two categories apart; then the likeliest is predicted.
        OptionError: No score has this name.
    """
    categories = checkpoint.plan.categories
    if len(categories) != 2:
        raise CheckpointError(
            "a classifier of two categories, which has a threshold",
            found=f"one of {len(categories)}",
            where=checkpoint.folder,
            next_step="predict without tuning: of more than two categories the likeliest is taken",
        )
    if score not in SCORES:
        advice = nearest_name(score, list(SCORES))
        raise OptionError("a score of classifications", found=repr(score), where="--score", next_step=advice)
    predictor = CategoryPredictor(checkpoint, flips=checkpoint.plan.recipe.inference.flips)
    probabilities = np.array(
        work_on_every_case(cases, what="tuning", work=lambda case: float(predictor.predict(case)[1]))
    )
    reference = np.array([categories.index(case.category or "") for case in cases])
    scores = _score(probabilities, reference, thresholds=thresholds, score=score)
    others = ~np.eye(len(cases), dtype=bool)
    left_out = np.array(
        [_score(probabilities[kept], reference[kept], thresholds=thresholds, score=score) for kept in others]
    )
    candidates = [Postprocessing(threshold=threshold) for threshold in thresholds]
    choice = choose_setting(candidates, scores, left_out)
    how = describe_choice(choice, scores, score=score, cases=said)
    setting = candidates[choice.place].model_copy(update={"chosen_by": how})
    warn_of_choice(setting, cases=len(cases), thresholds=thresholds, smallest_lesions_mm3=(0.0,))
    save_postprocessing(checkpoint, setting)
    write_text_atomically(checkpoint.folder / "tuning.csv", _as_table(thresholds, scores, choice, name=score))
    files = (checkpoint.folder / "tuning.csv", checkpoint.folder / "postprocessing.json")
    return setting, float(scores[choice.place]), files


def _score(
    probabilities: Float[np.ndarray, "case"],
    reference: Integer[np.ndarray, "case"],
    *,
    thresholds: Sequence[float],
    score: str,
) -> Float[np.ndarray, "threshold"]:
    """Return the score of every threshold; NaN where only one category is left, which no threshold divides."""
    if len(np.unique(reference)) < 2:
        return np.full(len(thresholds), np.nan)
    tables = [confusion(reference, (probabilities > one).astype(int), classes=2) for one in thresholds]
    return np.array([SCORES[score](table) for table in tables])


def _as_table(thresholds: Sequence[float], scores: Float[np.ndarray, "threshold"], choice: Choice, *, name: str) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["threshold", name, STANDARD_ERROR])
    for threshold, value, error in zip(thresholds, scores, choice.standard_errors, strict=True):
        writer.writerow([threshold, f"{value:.6f}", "" if np.isnan(error) else f"{error:.6f}"])
    return buffer.getvalue()
