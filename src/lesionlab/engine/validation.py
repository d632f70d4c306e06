"""How good a network is on validation cases while it trains."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from lightning_fabric import Fabric

from lesionlab.core.metric import MaskPair
from lesionlab.core.plan import Plan
from lesionlab.engine.category_predictor import score_categories
from lesionlab.engine.inference import predict_probabilities
from lesionlab.engine.ranks import summed
from lesionlab.engine.readout import Readout
from lesionlab.engine.snapshot import Picture, draw_snapshot
from lesionlab.engine.store import StoredCase
from lesionlab.metrics.overlap import Dice


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """What a validation found.

    Attributes:
        numbers: By name; the first, higher being better, chooses the best weights.
        picture: A slice of the worst case of this process, with both outlines; see `draw_snapshot`. None of a
            classifier.
    """

    numbers: dict[str, float]
    picture: Picture | None

    @property
    def chosen_by(self) -> str:
        """Name of the number that chooses the best weights."""
        return next(iter(self.numbers))

    @property
    def score(self) -> float:
        """That number."""
        return self.numbers[self.chosen_by]


def validate(
    trained: torch.nn.Module, cases: Sequence[StoredCase], plan: Plan, *, fabric: Fabric | None = None
) -> Validated:
    """Score a network on validation cases; several processes share the cases, and all know the scores.

    "validation_dice" is the mean over cases and regions at the plan's fixed threshold; ignored voxels do not count. No
    threshold is searched here: a threshold that is best for each case would flatter the network. A classifier's numbers
    are those of `score_categories`.

    Args:
        trained: In evaluation mode, on the device that shall do the work.
        cases: With masks, or with categories.
        plan: What it is trained for.
        fabric: Of a training; its arithmetic is used. None for one process in float32.
    """
    if plan.recipe.task == "classify":
        return Validated(numbers=score_categories(trained, cases, plan), picture=None)
    rank, world = (0, 1) if fabric is None else (fabric.global_rank, fabric.world_size)
    scores = torch.zeros(len(cases), dtype=torch.float64)
    worst, picture = math.inf, np.zeros((1, 1, 3), np.uint8)
    for place in range(rank, len(cases), world):
        with nullcontext() if fabric is None else fabric.autocast():
            masks = predict_masks(trained, cases[place], plan)
        score = case_dice(masks, cases[place], plan)
        scores[place] = score
        if score < worst:
            worst, picture = score, draw_snapshot(cases[place], np.any(masks, axis=0), labels=plan.labels)
    if fabric is not None:
        scores = summed(fabric, scores)
    return Validated(numbers={"validation_dice": float(scores.mean())}, picture=picture)


def predict_masks(trained: torch.nn.Module, case: StoredCase, plan: Plan) -> Bool[np.ndarray, "region x y z"]:
    """Return what a network outlines in a stored case, one view, at the plan's fixed threshold."""
    probabilities = predict_probabilities(
        trained,
        case.image(),
        window=plan.recipe.sampling.size,
        background=case.background,
        settings=plan.recipe.inference.model_copy(update={"flips": False}),
        readout=Readout.of(plan),
        neighbours=plan.recipe.sampling.neighbours,
    )
    return np.asarray(probabilities > plan.recipe.validation.threshold)


def case_dice(masks: Bool[np.ndarray, "region x y z"], case: StoredCase, plan: Plan) -> float:
    """Return the mean Dice over regions; voxels to be ignored do not count, and two empty masks give 1."""
    label = np.asarray(case.label())
    counted = ~plan.labels.ignored_of(label)
    pairs = zip(masks, plan.labels.regions_of(label), strict=True)
    spacing_mm = case.geometry.working.spacing_mm
    scores = [
        Dice(both_empty=1.0)(MaskPair(predicted=predicted & counted, reference=reference, spacing_mm=spacing_mm))
        for predicted, reference in pairs
    ]
    return float(np.mean(scores))
