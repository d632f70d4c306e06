"""Focal and Tversky loss together."""

from typing import ClassVar

from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Output
from lesionlab.losses.focal import focal_loss
from lesionlab.losses.tversky import tversky_loss


@loss("focal_tversky")
class FocalTversky(nn.Module):
    """A weighted sum of the focal and the Tversky loss of the main logits, with the constants of SYNAPSE-Net.

    Args:
        focal_weight: Weight of the focal loss.
        tversky_weight: Weight of the Tversky loss.

    Source: mubid-01/SYNAPSE-Net, commit e05116a.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions"})

    def __init__(self, *, focal_weight: NonNegativeFloat = 0.3, tversky_weight: NonNegativeFloat = 0.7) -> None:
        super().__init__()
        self.focal_weight = focal_weight
        self.tversky_weight = tversky_weight

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch region *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the weighted sum."""
        return focal_tversky_loss(
            output.logits,
            reference,
            counted,
            focal_weight=self.focal_weight,
            tversky_weight=self.tversky_weight,
        )


def focal_tversky_loss(
    logits: Float[Tensor, "batch region *space"],
    reference: Float[Tensor, "batch region *space"],
    counted: Bool[Tensor, "batch 1 *space"] | None,
    *,
    focal_weight: float = 0.3,
    tversky_weight: float = 0.7,
) -> Float[Tensor, ""]:
    """Return the weighted sum for logits in single precision; see `FocalTversky`."""
    focal = focal_loss(logits, reference, counted=counted)
    return focal_weight * focal + tversky_weight * tversky_loss(logits, reference, counted=counted)
