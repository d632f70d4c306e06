"""Cross-entropy of exclusive classes, the rare ones weighing more where wanted."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Output
from lesionlab.core.numbers import Fraction
from lesionlab.losses.counted import counted_mean


@loss("class_cross_entropy")
class ClassCrossEntropy(nn.Module):
    """Categorical cross-entropy of whole images (or of voxels) that belong to exactly one class each.

    Differs: what has no class in the reference costs nothing.

    Args:
        weights: Weight of each class in the order of the logits; none are all 1.
        smoothing: Share of the reference that is spread over all classes alike.

    Source: Ma et al., MICCAI 2024, arXiv:2407.08948; bitMyron/sa-swin, commit 5c0bc10 (weights).
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"categories"})

    def __init__(self, *, weights: tuple[NonNegativeFloat, ...] = (), smoothing: Fraction = 0.0) -> None:
        super().__init__()
        self.weights = weights
        self.smoothing = smoothing

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch class *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean over what is counted."""
        wanted = reference.float()
        smooth = self.smoothing * wanted.sum(dim=1, keepdim=True) / wanted.shape[1]
        wanted = (1 - self.smoothing) * wanted + smooth
        entropy = -wanted * torch.log_softmax(output.logits.float(), dim=1)
        return counted_mean(weighted_classes(entropy, self.weights).sum(dim=1, keepdim=True), counted)


def weighted_classes(
    values: Float[Tensor, "batch class *space"], weights: Sequence[float]
) -> Float[Tensor, "batch class *space"]:
    """Return the values times the weight of their class; no weights change nothing."""
    if not weights:
        return values
    assert len(weights) == values.shape[1], f"{len(weights)} weights for {values.shape[1]} classes"
    return values * values.new_tensor(weights).view(-1, *[1] * (values.dim() - 2))
