"""From a case to the probability of every category."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float32

from lesionlab.core.case import Case
from lesionlab.core.plan import Plan
from lesionlab.engine.checkpoint import Checkpoint
from lesionlab.engine.finite import check_finite
from lesionlab.engine.memory import within_memory
from lesionlab.engine.precision import make_fabric
from lesionlab.engine.preprocess import prepare
from lesionlab.engine.store import StoredCase
from lesionlab.engine.whole_volumes import centred, with_mirror
from lesionlab.metrics.class_measures import mean_area
from lesionlab.metrics.classes import balanced_accuracy, confusion, log_losses


class CategoryPredictor:
    """A classifier's checkpoint on the device at hand, ready for any number of cases; a CPU always works in float32.

    Args:
        checkpoint: Its weights are loaded here.
        flips: Whether to average over the volume and its left-right mirror image.

    Raises:
        CheckpointError: The weights are damaged.
    """

    def __init__(self, checkpoint: Checkpoint, *, flips: bool) -> None:
        self._plan = checkpoint.plan
        self._flips = flips
        wanted = self._plan.recipe.training.precision
        fabric = make_fabric(wanted if torch.cuda.is_available() else "float32")
        self._network = fabric.setup(checkpoint.load_network()).eval()

    def predict(self, case: Case) -> Float32[np.ndarray, "category"]:
        """Return the probability of every category of the plan; what category the case has is not looked at.

        Raises:
            PredictionError: The network gives numbers that are not finite, or memory is too small for the case.
            LesionlabError: As `prepare`.
        """
        recipe, where = self._plan.recipe, f"case {case.id}"
        unlabelled = replace(case, label=None, further_labels=())
        with within_memory(self._network.device, where=where):
            prepared = prepare(unlabelled, recipe.modalities, settings=recipe.preprocessing, labels=self._plan.labels)
            probabilities = category_probabilities(
                self._network,
                prepared.image,
                size=recipe.sampling.size,
                background=prepared.background,
                flips=self._flips,
            )
        check_finite(probabilities, what="probabilities", where=where)
        return probabilities


def category_probabilities(
    trained: torch.nn.Module,
    image: Float32[np.ndarray, "modality x y z"],
    *,
    size: Sequence[int],
    background: Sequence[float],
    flips: bool,
) -> Float32[np.ndarray, "category"]:
    """Return the probability of every category of one prepared image.

    Args:
        trained: In evaluation mode, on the device that shall do the work.
        image: Normalised; it may be memory-mapped.
        size: Of the volume that the network sees: the middle of the image.
        background: Value of air in each modality.
        flips: Whether to average over the volume and its left-right mirror image.
    """
    volume = centred(image, size=size, background=background)
    views = [volume, volume[:, ::-1]] if flips else [volume]
    is_mirrored = bool(getattr(trained, "sees_mirror", False))
    device = next(trained.parameters()).device
    shown = [torch.from_numpy(np.ascontiguousarray(with_mirror(view) if is_mirrored else view)) for view in views]
    with torch.inference_mode():  # one view at a time: both at once would double the memory
        logits = torch.cat([trained(view[None].to(device)).logits.float() for view in shown])
        probabilities = torch.softmax(logits, dim=1).mean(dim=0)
    found: Float32[np.ndarray, "category"] = probabilities.cpu().numpy()
    return found


def score_categories(trained: torch.nn.Module, cases: Sequence[StoredCase], plan: Plan) -> dict[str, float]:
    """Return how good a classifier is on validation cases: the number that chooses the best weights comes first.

    "auc" is the area under the curve (of more than two categories the mean of each against the rest),
    "balanced_accuracy" the mean share found of each category, "probability" the geometric mean of what each case's own
    category was given. All lie in [0, 1], higher being better.
    """
    probabilities = np.stack(
        [
            category_probabilities(
                trained, case.image(), size=plan.recipe.sampling.size, background=case.background, flips=False
            )
            for case in cases
        ]
    ).astype(np.float64)
    reference = np.array([plan.categories.index(case.category or "") for case in cases])
    table = confusion(reference, probabilities.argmax(axis=1), classes=len(plan.categories))
    numbers = {
        "auc": mean_area(probabilities, reference),
        "balanced_accuracy": float(balanced_accuracy(table)[0]),
        "probability": float(np.exp(-log_losses(probabilities, reference).mean())),
    }
    chosen = plan.recipe.classification.chosen_by
    return {f"validation_{name}": numbers[name] for name in (chosen, *(name for name in numbers if name != chosen))}
