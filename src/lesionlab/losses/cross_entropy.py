"""Cross-entropy of regions or of exclusive classes."""

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat
from torch import Tensor

from lesionlab.core.loss import Targets, loss
from lesionlab.losses.counted import counted_mean
from lesionlab.losses.deep_supervision import DeeplySupervised
from lesionlab.losses.exclusive import with_background


@loss("cross_entropy")
class CrossEntropy(DeeplySupervised):
    """The mean cross-entropy of counted voxels, of every head; an empty reference is ordinary.

    As many outputs as regions are judged each against the rest (binary); one more makes them exclusive classes, the
    background first (categorical).

    Args:
        weights: Weight of each region, or of each exclusive class with the background first; none are all 1.
        auxiliary_weights: Weights of auxiliary heads against 1 for the main one, finest first.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions", "values"})

    def __init__(
        self,
        *,
        weights: tuple[NonNegativeFloat, ...] = (),
        auxiliary_weights: tuple[NonNegativeFloat, ...] = (0.5, 0.25),
    ) -> None:
        super().__init__(auxiliary_weights)
        self.weights = weights

    def of_head(
        self,
        logits: Float[Tensor, "batch _ *space"],
        reference: Float[Tensor, "batch region *space"],
        counted: Bool[Tensor, "batch 1 *space"] | None,
    ) -> Float[Tensor, ""]:
        """Return the cross-entropy of one head."""
        return cross_entropy_loss(logits, reference, counted, weights=self.weights)


def cross_entropy_loss(
    logits: Float[Tensor, "batch class *space"],
    reference: Float[Tensor, "batch region *space"],
    counted: Bool[Tensor, "batch 1 *space"] | None,
    *,
    weights: tuple[float, ...] = (),
) -> Float[Tensor, ""]:
    """Return the cross-entropy of logits in single precision; see `CrossEntropy`."""
    return counted_mean(voxel_entropy(logits, reference, weights=weights), counted)


def voxel_entropy(
    logits: Float[Tensor, "batch class *space"],
    reference: Float[Tensor, "batch region *space"],
    *,
    weights: tuple[float, ...] = (),
) -> Float[Tensor, "batch _ *space"]:
    """Return the cross-entropy of every voxel in single precision: of each region, or one of exclusive classes."""
    if logits.shape[1] == reference.shape[1]:
        entropy = F.binary_cross_entropy_with_logits(logits.float(), reference.float(), reduction="none")
        return _weighted(entropy, weights)
    classes = with_background(reference.float(), logits.shape[1])
    entropy = -classes * torch.log_softmax(logits.float(), dim=1)
    return _weighted(entropy, weights).sum(dim=1, keepdim=True)


def _weighted(values: Tensor, weights: tuple[float, ...]) -> Tensor:
    if not weights:
        return values
    return values * values.new_tensor(weights).view(-1, *[1] * (values.dim() - 2))
