"""Judge a coarse map of where lesions are."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lesionlab.losses.counted import Coarsening, coarsened
from lesionlab.losses.focal import focal_loss


def lesion_presence_loss(
    lesion: Float[Tensor, "batch 1 *coarse"] | None,
    reference: Float[Tensor, "batch region *space"],
    counted: Bool[Tensor, "batch 1 *space"] | None,
    *,
    by: Coarsening,
) -> Float[Tensor, ""]:
    """Return the focal loss of logits of lesion presence; 0 where a network has no such head.

    Args:
        lesion: The logits.
        reference: One channel per region of lesion, without background; presence is the union of all.
        counted: False where a voxel must not count; None counts all.
        by: How the reference is brought to the grid of the logits.
    """
    if lesion is None:
        return torch.zeros((), device=reference.device)
    union = reference.amax(dim=1, keepdim=True)
    target, seen = coarsened(union, counted, size=lesion.shape[2:], by=by)
    return focal_loss(lesion, target, counted=seen)
