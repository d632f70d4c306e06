"""One minus the Dice index of probabilities."""

from typing import ClassVar, Literal, TypeAlias

import torch
from einops import reduce
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from lesionlab.core.loss import Targets, loss
from lesionlab.core.shared_batch import batch_mean, batch_sum
from lesionlab.losses.deep_supervision import DeeplySupervised
from lesionlab.losses.exclusive import only_counted, probabilities_and_classes

Over: TypeAlias = Literal["item", "batch"]
Absent: TypeAlias = Literal["ordinary", "count", "skip"]


@loss("dice")
class Dice(DeeplySupervised):
    """The Dice loss of every head, the mean over regions, or over exclusive classes where a background has an output.

    Args:
        over: Whether overlap is summed over each image ("item") or over all images of the batch ("batch"), which also
            punishes what is found in images without lesion.
        background: Whether the background of exclusive classes counts as one more class.
        squared: Whether the denominator sums squares (Milletari) instead of probabilities.
        absent: What a region without any reference voxel costs. "ordinary": nearly 0 where next to nothing is
            predicted, else nearly 1. "count": 1 whatever is predicted. "skip": nothing, the mean is over the others
            (0 where there are none).
        smoothing: Added to the denominator, and for "ordinary" to the numerator.
        auxiliary_weights: Weights of auxiliary heads against 1 for the main one, finest first.

    Source: Milletari et al., doi:10.1109/3DV.2016.79.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions", "values"})

    def __init__(
        self,
        *,
        over: Over = "batch",
        background: bool = False,
        squared: bool = False,
        absent: Absent = "ordinary",
        smoothing: PositiveFloat = 1e-5,
        auxiliary_weights: tuple[NonNegativeFloat, ...] = (0.5, 0.25),
    ) -> None:
        super().__init__(auxiliary_weights)
        self.over: Over = over
        self.background = background
        self.squared = squared
        self.absent: Absent = absent
        self.smoothing = smoothing

    def of_head(
        self,
        logits: Float[Tensor, "batch _ *space"],
        reference: Float[Tensor, "batch region *space"],
        counted: Bool[Tensor, "batch 1 *space"] | None,
    ) -> Float[Tensor, ""]:
        """Return the Dice loss of one head."""
        return dice_loss(
            *probabilities_and_classes(logits, reference, has_background=self.background),
            counted,
            over=self.over,
            squared=self.squared,
            absent=self.absent,
            smoothing=self.smoothing,
        )


def dice_loss(
    predicted: Float[Tensor, "batch channel *space"],
    reference: Float[Tensor, "batch channel *space"],
    counted: Bool[Tensor, "batch 1 *space"] | None,
    *,
    over: Over = "batch",
    squared: bool = False,
    absent: Absent = "ordinary",
    smoothing: float = 1e-5,
) -> Float[Tensor, ""]:
    """Return the Dice loss of probabilities; see `Dice`."""
    predicted, reference = only_counted(predicted, counted), only_counted(reference, counted)
    kept = "channel" if over == "batch" else "batch channel"
    sums = torch.stack(
        [
            reduce(part, f"batch channel ... -> {kept}", "sum")
            for part in (predicted * reference, predicted**2 if squared else predicted, reference)
        ]
    )
    shared, all_predicted, all_reference = batch_sum(sums) if over == "batch" else sums
    numerator = 2 * shared + (smoothing if absent == "ordinary" else 0.0)
    losses: Tensor = 1 - numerator / (all_predicted + all_reference + smoothing)
    if absent != "skip":
        return losses.mean()
    is_present = all_reference > 0
    return batch_mean(torch.where(is_present, losses, 0.0).sum(), is_present.sum())
