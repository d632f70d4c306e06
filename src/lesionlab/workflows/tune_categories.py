"""Find the threshold of a classifier of two categories on validation cases."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lesionlab.core.case import Case
from lesionlab.core.errors import CheckpointError, OptionError
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.core.progress import track
from lesionlab.core.registry import nearest_name
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.category_predictor import CategoryPredictor
from lesionlab.engine.checkpoint import Checkpoint, save_postprocessing
from lesionlab.metrics.classes import accuracy, balanced_accuracy, confusion, f1

SCORES: dict[str, Callable[[Float[np.ndarray, "one class class"]], float]] = {
    "balanced_accuracy": lambda table: float(balanced_accuracy(table)[0]),
    "accuracy": lambda table: float(accuracy(table)[0]),
    "f1": lambda table: float(np.nan_to_num(f1(table)[0, 1])),
}


def tune_categories(
    checkpoint: Checkpoint, cases: Sequence[Case], *, score: str, thresholds: Sequence[float]
) -> tuple[Postprocessing, float, tuple[Path, ...]]:
    """Score every threshold on the validation cases, and write the best into the checkpoint.

    Of equal scores the threshold nearest to 0.5 wins, the lower of two.

    Args:
        checkpoint: Of a classifier of two categories.
        cases: The plan's validation cases, each with a category.
        score: One of `SCORES`.
        thresholds: Candidates.

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
    tracked = track(cases, what="tuning", total=len(cases))
    probabilities = np.array([float(predictor.predict(case)[1]) for case in tracked])
    reference = np.array([categories.index(case.category or "") for case in cases])
    tables = [confusion(reference, (probabilities > one).astype(int), classes=2) for one in thresholds]
    scores = [SCORES[score](table) for table in tables]
    best = max(range(len(scores)), key=lambda place: (scores[place], -abs(thresholds[place] - 0.5)))
    how = f"highest {score} of {len(cases)} validation cases"
    tuned = Postprocessing(threshold=thresholds[best], chosen_by=how)
    save_postprocessing(checkpoint, tuned)
    write_text_atomically(checkpoint.folder / "tuning.csv", _as_table(thresholds, scores, name=score))
    return tuned, scores[best], (checkpoint.folder / "tuning.csv", checkpoint.folder / "postprocessing.json")


def _as_table(thresholds: Sequence[float], scores: Sequence[float], *, name: str) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["threshold", name])
    writer.writerows([threshold, f"{value:.6f}"] for threshold, value in zip(thresholds, scores, strict=True))
    return buffer.getvalue()
