"""Cross-entropy of exclusive classes that looks away from easy cases."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Output
from lesionlab.losses.class_cross_entropy import weighted_classes
from lesionlab.losses.counted import counted_mean


@loss("class_focal")
class ClassFocal(nn.Module):
    """The focal loss of whole images (or of voxels) that belong to exactly one class each.

    Differs: classes exclude each other (softmax), where the source judges each against the rest.

    Args:
        weights: Weight of each class in the order of the logits; none are all 1.
        gamma: How strongly easy cases are discounted; 0 gives weighted cross-entropy.

    Source: Lin et al., doi:10.1109/ICCV.2017.324.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"categories"})

    def __init__(self, *, weights: tuple[NonNegativeFloat, ...] = (), gamma: NonNegativeFloat = 2.0) -> None:
        super().__init__()
        self.weights = weights
        self.gamma = gamma

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch class *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean over what is counted."""
        log_probability = torch.log_softmax(output.logits.float(), dim=1)
        missed = (1 - log_probability.exp()).clamp_min(1e-7)  # the root of 0 has no gradient
        focal = -reference.float() * missed**self.gamma * log_probability
        return counted_mean(weighted_classes(focal, self.weights).sum(dim=1, keepdim=True), counted)
