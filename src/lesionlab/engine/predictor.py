"""From a case to probabilities on its own grid."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32

from lesionlab.core.case import Case
from lesionlab.core.grid import Grid
from lesionlab.core.recipe import Inference
from lesionlab.engine.checkpoint import Checkpoint
from lesionlab.engine.finite import check_finite
from lesionlab.engine.inference import predict_probabilities
from lesionlab.engine.memory import within_memory
from lesionlab.engine.precision import make_fabric
from lesionlab.engine.preprocess import prepare
from lesionlab.engine.readout import Readout
from lesionlab.engine.shown_modalities import ShownModalities, can_do_without, is_shown_of, spread, spread_background


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Probabilities of one case.

    Attributes:
        probabilities: In [0, 1], on the grid of the case's first modality; 0 outside the foreground.
        grid: That grid.
        space_code: NIfTI code of the scan's space.
    """

    probabilities: Float32[np.ndarray, "region x y z"]
    grid: Grid
    space_code: int


class Predictor:
    """A checkpoint on the device at hand, ready for any number of cases; a CPU always works in float32.

    Args:
        checkpoint: Its weights are loaded here.
        inference: How windows slide; usually the plan's.

    Raises:
        CheckpointError: The weights are damaged.
    """

    def __init__(self, checkpoint: Checkpoint, inference: Inference) -> None:
        self.checkpoint = checkpoint
        self._inference = inference
        wanted = checkpoint.plan.recipe.training.precision
        fabric = make_fabric(wanted if torch.cuda.is_available() else "float32")
        self._network = fabric.setup(checkpoint.load_network()).eval()

    def predict(self, case: Case) -> Prediction:
        """Return the probabilities of one case; its mask, if it has one, is not looked at.

        A case may lack modalities where the network was trained with modality dropout.

        Raises:
            PredictionError: The network gives numbers that are not finite, or memory is too small for the case.
            LesionlabError: As `prepare`.
        """
        with within_memory(self._network.device, where=f"case {case.id}"):
            return self._predict(case)

    def _predict(self, case: Case) -> Prediction:
        plan = self.checkpoint.plan
        recipe, settings = plan.recipe, plan.recipe.preprocessing
        is_shown = is_shown_of(tuple(case.images), recipe)
        if is_shown.all() or not is_shown.any() or not can_do_without(recipe):
            prepared = prepare(replace(case, label=None), recipe.modalities, settings=settings, labels=plan.labels)
            trained, image, background = self._network, prepared.image, prepared.background
        else:
            available = [name for name in recipe.modalities if name in case.images]
            prepared = prepare(replace(case, label=None), available, settings=settings, labels=plan.labels)
            trained = ShownModalities(self._network, is_shown, recipe)
            image, background = spread(prepared.image, is_shown), spread_background(prepared.background, is_shown)
        kept = predict_probabilities(
            trained,
            image,
            window=recipe.sampling.size,
            background=background,
            settings=self._inference,
            readout=Readout.of(plan),
            neighbours=recipe.sampling.neighbours,
        )
        check_finite(kept, what="probabilities", where=f"case {case.id}")
        return Prediction(
            probabilities=prepared.geometry.to_scan(kept),
            grid=prepared.geometry.scan,
            space_code=prepared.space_code,
        )
