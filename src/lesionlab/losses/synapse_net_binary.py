"""The loss of SYNAPSE-Net for lesion against background (WMH, ISLES)."""

from typing import ClassVar, Literal

from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Output
from lesionlab.losses.boundary import DistanceUnit, boundary_loss
from lesionlab.losses.counted import Coarsening, coarsened
from lesionlab.losses.focal_tversky import focal_tversky_loss
from lesionlab.losses.lesion_presence import lesion_presence_loss


@loss("synapse_net_binary")
class SynapseNetBinary(nn.Module):
    """Focal-Tversky on every head, boundary on the main logits, focal on the map of lesion presence.

    Every region is judged against the rest, so regions may overlap. An empty reference costs no boundary loss.

    ===============  ========================  ====================  ==================================================
    option           reference (as published)  corrected             why
    ===============  ========================  ====================  ==================================================
    `boundary_unit`  voxels                    diagonal              tens of voxels drown the other terms (about 0.7)
    `lesion_target`  nearest                   max                   small lesions fall between every 16th pixel
    ===============  ========================  ====================  ==================================================

    Args:
        mode: What the options left at "mode" mean; see the table.
        boundary_unit: Unit of the distance to the lesion.
        lesion_target: How the reference is brought to the grid of lesion presence.
        boundary_weight: Weight of the boundary loss (published: WMH 1.0, ISLES 1.2).
        lesion_weight: Weight of the loss of lesion presence; without effect where a network has no such head.
        auxiliary_weights: Weights of the auxiliary heads, finest first; a head without a weight is not supervised.

    Source: mubid-01/SYNAPSE-Net, commit e05116a.
    Differs: in neither mode does an empty reference make distances up; see `Boundary`.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions"})

    def __init__(
        self,
        *,
        mode: Literal["reference", "corrected"] = "corrected",
        boundary_unit: Literal["mode", "voxels", "diagonal"] = "mode",
        lesion_target: Literal["mode", "nearest", "max"] = "mode",
        boundary_weight: NonNegativeFloat = 1.0,
        lesion_weight: NonNegativeFloat = 0.5,
        auxiliary_weights: tuple[NonNegativeFloat, ...] = (0.4, 0.2),
    ) -> None:
        super().__init__()
        is_published = mode == "reference"
        self.boundary_unit: DistanceUnit = (
            boundary_unit if boundary_unit != "mode" else "voxels" if is_published else "diagonal"
        )
        self.lesion_target: Coarsening = (
            lesion_target if lesion_target != "mode" else "nearest" if is_published else "max"
        )
        self.boundary_weight = boundary_weight
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
        total = focal_tversky_loss(output.logits, reference, counted)
        boundary = boundary_loss(output.logits, reference, counted, unit=self.boundary_unit, sides="outside")
        total = total + self.boundary_weight * boundary
        for weight, logits in zip(self.auxiliary_weights, output.auxiliary, strict=False):
            coarse, coarse_counted = coarsened(reference, counted, size=logits.shape[2:], by="nearest")
            total = total + weight * focal_tversky_loss(logits, coarse, coarse_counted)
        presence = lesion_presence_loss(output.lesion, reference, counted, by=self.lesion_target)
        return total + self.lesion_weight * presence
