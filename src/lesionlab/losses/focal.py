"""Cross-entropy that looks away from easy voxels."""

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Output
from lesionlab.core.numbers import Fraction
from lesionlab.losses.counted import counted_mean


@loss("focal")
class Focal(nn.Module):
    """The focal loss of the main logits, every region against the rest; an empty reference is ordinary.

    Args:
        alpha: Weight of voxels inside the region; those outside weigh 1 - alpha.
        gamma: How strongly easy voxels are discounted; 0 gives weighted cross-entropy.

    Source: Lin et al., doi:10.1109/ICCV.2017.324.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions"})

    def __init__(self, *, alpha: Fraction = 0.25, gamma: NonNegativeFloat = 2.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch region *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean over regions and counted voxels."""
        return focal_loss(output.logits, reference, counted=counted, alpha=self.alpha, gamma=self.gamma)


def focal_loss(
    logits: Float[Tensor, "batch region *space"],
    reference: Float[Tensor, "batch region *space"],
    *,
    counted: Bool[Tensor, "batch 1 *space"] | None,
    alpha: float = 0.25,
    gamma: float = 2.0,
) -> Float[Tensor, ""]:
    """Return the focal loss of logits in single precision; see `Focal`."""
    assert logits.shape == reference.shape, "as many channels of logits as regions"
    reference = reference.float()
    entropy = F.binary_cross_entropy_with_logits(logits.float(), reference, reduction="none")
    weight = alpha * reference + (1 - alpha) * (1 - reference)
    missed = (1 - torch.exp(-entropy)).clamp_min(1e-7)  # a root of 0 has no finite gradient
    return counted_mean(weight * missed**gamma * entropy, counted)
