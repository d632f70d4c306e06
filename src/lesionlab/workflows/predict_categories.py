"""Say of whole cases which category they belong to."""

import logging
from collections.abc import Sequence
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.content_key import content_key
from lesionlab.core.errors import LesionlabError
from lesionlab.core.progress import track
from lesionlab.engine.category_predictor import CategoryPredictor
from lesionlab.engine.checkpoint import Checkpoint
from lesionlab.workflows.category_files import CategoryFile, Said, chosen, finished_cases, write_categories

logger = logging.getLogger(__name__)


def predict_categories(
    checkpoint: Checkpoint, cases: Sequence[Case], out: Path, *, flips: bool
) -> tuple[tuple[Path, ...], dict[str, str]]:
    """Write the probability of every category of every case, as a table and as JSON.

    A case that fails does not stop the others. Finished cases are skipped when neither weights, settings nor scans have
    changed.

    Args:
        checkpoint: Of a classifier.
        cases: What to predict; categories that they have are not looked at.
        out: Where the two files go.
        flips: Whether to average over each volume and its left-right mirror image.

    Returns:
        The files, and why cases failed, by id.

    Raises:
        CheckpointError: The weights are damaged.
        StorageError: A file could not be written whole.
    """
    plan = checkpoint.plan
    threshold = checkpoint.postprocessing.threshold
    predictor = CategoryPredictor(checkpoint, flips=flips)
    weights = content_key(sorted(checkpoint.folder.glob("*.safetensors")), settings=plan.model_dump(mode="json"))
    earlier = finished_cases(out, plan.categories)
    said: dict[str, Said] = {}
    failures: dict[str, str] = {}
    for case in track(cases, what="predicting", total=len(cases)):
        key = case.content_key(plan.recipe.modalities, settings=[weights, flips], with_reference=False)
        found = earlier.get(case.id)
        try:
            values = found.probabilities if found and found.key == key else _predict(predictor, case, plan.categories)
        except LesionlabError as error:
            failures[case.id] = str(error)
            logger.error("case %s: %s", case.id, error)
            continue
        name = plan.categories[chosen([values[one] for one in plan.categories], threshold=threshold)]
        said[case.id] = Said(key=key, group=case.group, site=case.site, predicted=name, probabilities=values)
    files = write_categories(out, CategoryFile(categories=plan.categories, threshold=threshold, cases=said))
    return files, failures


def _predict(predictor: CategoryPredictor, case: Case, categories: Sequence[str]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(categories, predictor.predict(case), strict=True)}
