"""Overlap that weighs missed voxels apart from false ones."""

from typing import ClassVar

import torch
from einops import reduce
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Output


@loss("tversky")
class Tversky(nn.Module):
    """One minus the Tversky index of the main logits, per batch item and region, then the mean.

    An empty reference gives nearly 0 where next to nothing is predicted, else nearly 1.

    Args:
        false_positive: Weight of what is predicted outside the reference.
        false_negative: Weight of what is missed inside it. Both 0.5 give the Dice loss.
        smoothing: Added to both sides of the fraction.

    Source: Salehi et al., doi:10.1007/978-3-319-67389-9_44.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions"})

    def __init__(
        self,
        *,
        false_positive: NonNegativeFloat = 0.3,
        false_negative: NonNegativeFloat = 0.7,
        smoothing: PositiveFloat = 1e-5,
    ) -> None:
        super().__init__()
        self.false_positive = false_positive
        self.false_negative = false_negative
        self.smoothing = smoothing

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch region *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean over batch items and regions."""
        return tversky_loss(
            output.logits,
            reference,
            counted=counted,
            false_positive=self.false_positive,
            false_negative=self.false_negative,
            smoothing=self.smoothing,
        )


def tversky_loss(
    logits: Float[Tensor, "batch region *space"],
    reference: Float[Tensor, "batch region *space"],
    *,
    counted: Bool[Tensor, "batch 1 *space"] | None,
    false_positive: float = 0.3,
    false_negative: float = 0.7,
    smoothing: float = 1e-5,
) -> Float[Tensor, ""]:
    """Return the Tversky loss of logits in single precision; see `Tversky`."""
    assert logits.shape == reference.shape, "as many channels of logits as regions"
    predicted, reference = torch.sigmoid(logits.float()), reference.float()
    if counted is not None:
        predicted, reference = torch.where(counted, predicted, 0.0), torch.where(counted, reference, 0.0)
    shared, excess, lack = (
        reduce(part, "batch region ... -> batch region", "sum")
        for part in (predicted * reference, predicted * (1 - reference), (1 - predicted) * reference)
    )
    wrong = false_positive * excess + false_negative * lack
    return 1 - ((shared + smoothing) / (shared + wrong + smoothing)).mean()
