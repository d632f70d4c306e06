"""The loss of SYNAPSE-Net for exclusive classes (BraTS)."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Output
from lesionlab.losses.counted import Coarsening, coarsened, counted_mean
from lesionlab.losses.dice import Absent, dice_loss
from lesionlab.losses.exclusive import with_background
from lesionlab.losses.lesion_presence import lesion_presence_loss


@loss("synapse_net_multiclass")
class SynapseNetMulticlass(nn.Module):
    """Multi-class Dice on every head and focal on the map of lesion presence.

    Channels are exclusive classes, the background first. A reference with one channel fewer than the logits gets the
    background as what no region covers.

    ===============  ========================  ====================  ==================================================
    option           reference (as published)  corrected             why
    ===============  ========================  ====================  ==================================================
    `absent_class`   count                     skip                  a class rightly predicted absent costs 1 otherwise
    `cross_entropy`  none                      add                   Dice alone says little about absent classes
    `lesion_target`  nearest                   max                   small lesions fall between every 16th pixel
    ===============  ========================  ====================  ==================================================

    Args:
        mode: What the options left at "mode" mean; see the table.
        absent_class: What a class without any reference voxel in the batch costs.
        cross_entropy: Whether the mean cross-entropy of each head is added to its Dice loss.
        lesion_target: How the reference is brought to the grid of lesion presence.
        lesion_weight: Weight of the loss of lesion presence; without effect where a network has no such head.
        auxiliary_weights: Weights of the auxiliary heads, finest first; a head without a weight is not supervised.

    Source: mubid-01/SYNAPSE-Net, commit e05116a.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"values"})

    def __init__(
        self,
        *,
        mode: Literal["reference", "corrected"] = "corrected",
        absent_class: Literal["mode", "count", "skip"] = "mode",
        cross_entropy: Literal["mode", "none", "add"] = "mode",
        lesion_target: Literal["mode", "nearest", "max"] = "mode",
        lesion_weight: NonNegativeFloat = 0.25,
        auxiliary_weights: tuple[NonNegativeFloat, ...] = (0.4, 0.2),
    ) -> None:
        super().__init__()
        is_published = mode == "reference"
        self.absent_class: Absent = absent_class if absent_class != "mode" else "count" if is_published else "skip"
        self.has_cross_entropy = (cross_entropy == "mode" and not is_published) or cross_entropy == "add"
        self.lesion_target: Coarsening = (
            lesion_target if lesion_target != "mode" else "nearest" if is_published else "max"
        )
        self.lesion_weight = lesion_weight
        self.auxiliary_weights = auxiliary_weights

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch region *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the weighted sum of all terms."""
        classes = with_background(reference, output.logits.shape[1])
        total = self._head(output.logits, classes, counted)
        for weight, logits in zip(self.auxiliary_weights, output.auxiliary, strict=False):
            total = total + weight * self._head(
                logits, *coarsened(classes, counted, size=logits.shape[2:], by="nearest")
            )
        presence = lesion_presence_loss(output.lesion, classes[:, 1:], counted, by=self.lesion_target)
        return total + self.lesion_weight * presence

    def _head(self, logits: Tensor, classes: Tensor, counted: Tensor | None) -> Float[Tensor, ""]:
        probabilities = torch.softmax(logits.float(), dim=1)
        dice = dice_loss(probabilities, classes.float(), counted, squared=True, absent=self.absent_class)
        if not self.has_cross_entropy:
            return dice
        entropy = -(classes * torch.log_softmax(logits.float(), dim=1)).sum(dim=1, keepdim=True)
        return dice + counted_mean(entropy, counted)
