"""The validation cases of a checkpoint, found again in a dataset: by their ids, and by their images."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, SplitError
from lesionlab.core.learned_cases import image_keys
from lesionlab.core.plan import Plan
from lesionlab.core.split import hash_case, read_split, refuse_sealed
from lesionlab.core.split_rule import name_cases
from lesionlab.engine.checkpoint import Checkpoint
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.modality_use import match_modalities

logger = logging.getLogger(__name__)


def find_validation_cases(checkpoint: Checkpoint, data: str, *, split_file: Path | None = None) -> tuple[Case, ...]:
    """Return the plan's validation cases that have a reference; what is missing is said.

    Args:
        checkpoint: Whose plan names them.
        data: LAYOUT:FOLDER that it was trained with.
        split_file: That the cases are divided by, if any.

    Raises:
        LayoutError: There is none of them, or a case of the same id has other images.
        SplitError: One of them is a test case of these data, or belongs to a sealed test set.
        CheckpointError: The data lack a modality.
    """
    plan = checkpoint.plan
    name, layout = open_divided(data, split_file)
    layout = match_modalities(layout, plan.recipe.modalities)
    checkpoint.check_modalities(layout.modalities, where=data)
    refuse_sealed(plan.validation_cases, plan.sealed, where=checkpoint.folder)
    if split_file is not None:
        refuse_sealed(plan.validation_cases, read_split(split_file).sealed, where=split_file)
    ids = set(plan.validation_cases)
    named = [case for case in layout.cases() if case.id in ids]
    refuse_sealed(ids, [hash_case(case.id) for case in named if case.is_sealed], where=data)
    _refuse_test(named, where=data)
    has_reference = attrgetter("category" if plan.categories else "label")
    cases = tuple(case for case in named if has_reference(case) is not None)
    if not cases:
        raise LayoutError(
            f"the plan's validation cases ({', '.join(sorted(ids)[:4])}, ...)",
            found="none of them",
            where=data,
            next_step="give the data that the network was trained with",
        )
    _check_images(cases, plan, where=data)
    if not plan.validation_images and name != plan.layout:
        logger.warning("trained with the layout %s: nothing tells whether these are the same cases", plan.layout)
    if len(cases) < len(ids):
        missing = sorted(ids - {case.id for case in cases})
        logger.warning("%d of %d validation cases are used; missing: %s", len(cases), len(ids), name_cases(missing))
    return cases


def _refuse_test(cases: Sequence[Case], *, where: str) -> None:
    test = [case.id for case in cases if case.split == "test"]
    if test:
        raise SplitError(
            "validation cases, which choose; test cases never do",
            found=f"{len(test)} of the plan's validation cases are test cases here: {name_cases(test)}",
            where=where,
            next_step="give the data that the network was trained with, and the split file if there was one",
        )


def _check_images(cases: Sequence[Case], plan: Plan, *, where: str) -> None:
    """Refuse other images under the ids of validation cases, where the plan knows their keys."""
    keys = dict(zip(plan.validation_cases, plan.validation_images, strict=False))
    others = []
    for case in cases if keys else ():
        shown = {name: path for name, path in case.images.items() if name in plan.recipe.modalities}
        if not set(image_keys(replace(case, images=shown))) <= set(keys[case.id]):
            others.append(case.id)
    if others:
        raise LayoutError(
            "the images of the validation cases that the network was trained with",
            found=f"others under the same id: {name_cases(others)}",
            where=where,
            next_step="give the data that the network was trained with, unchanged",
        )
