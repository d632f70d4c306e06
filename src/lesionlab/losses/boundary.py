"""Punish predictions by how far they lie from the lesion."""

import math
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor, nn

from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Output
from lesionlab.losses.counted import counted_mean

DistanceUnit: TypeAlias = Literal["voxels", "diagonal"]
Sides: TypeAlias = Literal["outside", "both"]


@loss("boundary")
class Boundary(nn.Module):
    """Mean of predicted probability times distance to the reference lesion; 0 where the reference is empty.

    Args:
        unit: "voxels", or "diagonal": as a part of the image's diagonal, so that the loss stays below 1.
        sides: "outside" leaves the lesion's inside at 0; "both" gives it the negative distance to the outside, which
            rewards finding the middle.

    Source: Kervadec et al., doi:10.1016/j.media.2020.101851; one-sided as in mubid-01/SYNAPSE-Net, commit e05116a.
    Differs: for an empty reference the latter used distances to a point outside the image's corner; here they are 0.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions"})

    def __init__(self, *, unit: DistanceUnit = "diagonal", sides: Sides = "outside") -> None:
        super().__init__()
        self.unit = unit
        self.sides = sides

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch region *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean over regions and counted voxels."""
        return boundary_loss(output.logits, reference, counted, unit=self.unit, sides=self.sides)


def boundary_loss(
    logits: Float[Tensor, "batch region *space"],
    reference: Float[Tensor, "batch region *space"],
    counted: Bool[Tensor, "batch 1 *space"] | None,
    *,
    unit: DistanceUnit,
    sides: Sides,
) -> Float[Tensor, ""]:
    """Return the boundary loss of logits in single precision; see `Boundary`."""
    assert logits.shape == reference.shape, "as many channels of logits as regions"
    lesion = reference > 0.5
    if counted is not None:
        lesion = lesion & counted
    distance = lesion_distance(lesion, sides=sides)
    if unit == "diagonal":
        distance = distance / math.hypot(*reference.shape[2:])
    return counted_mean(torch.sigmoid(logits.float()) * distance, counted)


def lesion_distance(
    lesion: Bool[Tensor, "batch region *space"], *, sides: Sides
) -> Float[Tensor, "batch region *space"]:
    """Return each voxel's Euclidean distance in voxels to the nearest lesion voxel of its batch item and region.

    It is 0 inside the lesion, or minus the distance to the outside where `sides` is "both"; and 0 everywhere where
    there is no lesion or nothing else. Computed on the CPU, outside autograd.
    """
    masks = lesion.detach().cpu().numpy()
    distance = np.zeros(masks.shape, dtype=np.float32)
    for index in np.ndindex(masks.shape[:2]):
        mask = masks[index]
        if mask.any() and not mask.all():
            distance[index] = ndimage.distance_transform_edt(~mask)
            if sides == "both":
                distance[index] -= ndimage.distance_transform_edt(mask)
    return torch.from_numpy(distance).to(lesion.device)
