"""Dice loss over exclusive classes."""

from typing import Literal, TypeAlias

import torch
from einops import reduce
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.core.loss import loss
from lesionlab.core.network import Output

AbsentClass: TypeAlias = Literal["count", "skip"]


@loss("multiclass_dice")
class MulticlassDice(nn.Module):
    """One minus the Dice index of softmax probabilities, per class over the whole batch, then the mean over classes.

    The denominator sums squares. Channels are exclusive classes; see `with_background` for the first of them.

    Args:
        absent_class: What a class without any reference voxel in the batch costs. "skip": nothing, the mean is over
            the others (0 where there are none). "count": 1 whatever is predicted, as in mubid-01/SYNAPSE-Net.

    Source: Milletari et al., doi:10.1109/3DV.2016.79; constants of mubid-01/SYNAPSE-Net, commit e05116a.
    """

    def __init__(self, *, absent_class: AbsentClass = "skip") -> None:
        super().__init__()
        self.absent_class = absent_class

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch region *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean over classes."""
        classes = with_background(reference, output.logits.shape[1])
        return multiclass_dice_loss(output.logits, classes, counted, absent_class=self.absent_class)


def multiclass_dice_loss(
    logits: Float[Tensor, "batch class *space"],
    reference: Float[Tensor, "batch class *space"],
    counted: Bool[Tensor, "batch 1 *space"] | None,
    *,
    absent_class: AbsentClass,
) -> Float[Tensor, ""]:
    """Return the Dice loss of logits in single precision; see `MulticlassDice`."""
    predicted, reference = torch.softmax(logits.float(), dim=1), reference.float()
    if counted is not None:
        predicted, reference = torch.where(counted, predicted, 0.0), torch.where(counted, reference, 0.0)
    shared, squares_predicted, squares_reference = (
        reduce(part, "batch channel ... -> channel", "sum")
        for part in (predicted * reference, predicted**2, reference**2)
    )
    losses = 1 - 2 * shared / (squares_reference + squares_predicted + 1e-5)
    if absent_class == "count":
        return losses.mean()
    is_present = squares_reference > 0
    return torch.where(is_present, losses, 0.0).sum() / is_present.sum().clamp(min=1)


def with_background(reference: Float[Tensor, "batch _ *space"], classes: int) -> Float[Tensor, "batch _ *space"]:
    """Return one channel per class: a reference with one channel fewer gets the background in front of it.

    The background is what no region covers.
    """
    if reference.shape[1] == classes:
        return reference
    background = 1 - reference.amax(dim=1, keepdim=True)
    return torch.cat([background, reference], dim=1)
