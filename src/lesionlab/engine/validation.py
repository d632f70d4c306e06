"""How good a network is on validation cases while it trains."""

from collections.abc import Sequence

import numpy as np
import torch

from lesionlab.core.metric import MaskPair
from lesionlab.core.plan import Plan
from lesionlab.engine.inference import predict_probabilities
from lesionlab.engine.readout import Readout
from lesionlab.engine.store import StoredCase
from lesionlab.metrics.overlap import Dice


def mean_dice(trained: torch.nn.Module, cases: Sequence[StoredCase], plan: Plan) -> float:
    """Return the mean Dice over cases and regions at the plan's fixed threshold; voxels to be ignored do not count.

    No threshold is searched here: a threshold that is best for each case would flatter the network.
    """
    return float(np.mean([_dice(trained, case, plan) for case in cases]))


def _dice(trained: torch.nn.Module, case: StoredCase, plan: Plan) -> float:
    probabilities = predict_probabilities(
        trained,
        case.image(),
        window=plan.recipe.sampling.size,
        background=case.background,
        settings=plan.recipe.inference.model_copy(update={"flips": False}),
        readout=Readout.of(plan),
    )
    label = np.asarray(case.label())
    counted = ~plan.labels.ignored_of(label)
    pairs = zip(probabilities > plan.recipe.validation.threshold, plan.labels.regions_of(label), strict=True)
    spacing_mm = case.geometry.working.spacing_mm
    scores = [
        Dice(both_empty=1.0)(MaskPair(predicted=predicted & counted, reference=reference, spacing_mm=spacing_mm))
        for predicted, reference in pairs
    ]
    return float(np.mean(scores))
