"""Say of whole cases which category they belong to."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from lesionlab.core.case import Case, Modality
from lesionlab.core.content_key import content_key
from lesionlab.engine.case_loop import work_through_cases
from lesionlab.engine.category_predictor import CategoryPredictor
from lesionlab.engine.checkpoint import Checkpoint
from lesionlab.workflows.category_files import CategoryRecord
from lesionlab.workflows.made_by import maker_key
from lesionlab.workflows.modality_use import checked, prediction_key


def predict_categories(
    checkpoint: Checkpoint,
    cases: Sequence[Case],
    out: Path,
    *,
    flips: bool,
    required: Sequence[Modality] = (),
    used: Mapping[str, str] = MappingProxyType({}),
) -> tuple[tuple[Path, ...], dict[str, str]]:
    """Write the probability of every category of every case, as a table and as JSON.

    A case that fails does not stop the others. Finished cases are skipped when neither weights, settings nor scans have
    changed.

    Args:
        checkpoint: Of a classifier.
        cases: What to predict; categories that they have are not looked at.
        out: Where the two files go.
        flips: Whether to average over each volume and its left-right mirror image.
        required: Modalities without which a case fails.
        used: By case, which file became which modality, what was not found and what was ignored.

    Returns:
        The files, and why cases failed, by id.

    Raises:
        CheckpointError: The weights are damaged.
        StorageError: A file could not be written whole.
    """
    plan = checkpoint.plan
    predictor = CategoryPredictor(checkpoint, flips=flips)
    weights = content_key(sorted(checkpoint.folder.glob("*.safetensors")), settings=plan.model_dump(mode="json"))
    record = CategoryRecord(
        out,
        categories=plan.categories,
        threshold=checkpoint.postprocessing.threshold,
        made_by=maker_key(checkpoint),
        used=used,
    )
    try:
        failures = work_through_cases(
            cases,
            what="predicting",
            record=record,
            key=partial(
                prediction_key, modalities=plan.recipe.modalities, settings=[weights, flips], required=required
            ),
            work=checked(partial(_predict, predictor, categories=plan.categories), required=required),
            files_of=lambda _: (),
        )
    except BaseException:
        record.save()
        raise
    return record.finish(cases), failures


def _predict(predictor: CategoryPredictor, case: Case, categories: Sequence[str]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(categories, predictor.predict(case), strict=True)}
