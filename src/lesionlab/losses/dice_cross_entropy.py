"""Dice and cross-entropy together: overlap for what is rare, single voxels for what is absent."""

from typing import ClassVar

from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat
from torch import Tensor

from lesionlab.core.loss import Targets, loss
from lesionlab.losses.cross_entropy import cross_entropy_loss
from lesionlab.losses.deep_supervision import DeeplySupervised
from lesionlab.losses.dice import Over, dice_loss
from lesionlab.losses.exclusive import probabilities_and_classes


@loss("dice_cross_entropy")
class DiceCrossEntropy(DeeplySupervised):
    """A weighted sum of the Dice loss and the cross-entropy of every head.

    As many outputs as regions are judged each against the rest (Dice + BCE); one more makes them exclusive classes,
    the background first (Dice + CE).

    Args:
        dice_weight: Weight of the Dice loss.
        cross_entropy_weight: Weight of the cross-entropy.
        over: Whether overlap is summed over each image or over all images of the batch.
        background: Whether the background of exclusive classes counts as one more class in the Dice loss.
        squared: Whether the denominator of the Dice loss sums squares.
        auxiliary_weights: Weights of auxiliary heads against 1 for the main one, finest first.

    Source: Isensee et al., doi:10.1038/s41592-020-01008-z.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions", "values"})

    def __init__(
        self,
        *,
        dice_weight: NonNegativeFloat = 1.0,
        cross_entropy_weight: NonNegativeFloat = 1.0,
        over: Over = "batch",
        background: bool = False,
        squared: bool = False,
        auxiliary_weights: tuple[NonNegativeFloat, ...] = (0.5, 0.25),
    ) -> None:
        super().__init__(auxiliary_weights)
        self.dice_weight = dice_weight
        self.cross_entropy_weight = cross_entropy_weight
        self.over: Over = over
        self.background = background
        self.squared = squared

    def of_head(
        self,
        logits: Float[Tensor, "batch _ *space"],
        reference: Float[Tensor, "batch region *space"],
        counted: Bool[Tensor, "batch 1 *space"] | None,
    ) -> Float[Tensor, ""]:
        """Return the weighted sum of one head."""
        predicted, classes = probabilities_and_classes(logits, reference, has_background=self.background)
        dice = dice_loss(predicted, classes, counted, over=self.over, squared=self.squared)
        entropy = cross_entropy_loss(logits, reference, counted)
        return self.dice_weight * dice + self.cross_entropy_weight * entropy
