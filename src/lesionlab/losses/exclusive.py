"""Tell exclusive classes from regions that may overlap: by one output more, the background's."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def with_background(reference: Float[Tensor, "batch _ *space"], classes: int) -> Float[Tensor, "batch _ *space"]:
    """Return one channel per class: a reference with one channel fewer gets the background in front of it.

    The background is what no region covers.
    """
    assert classes > 1, "a softmax over one channel says nothing"
    if reference.shape[1] == classes:
        return reference
    assert reference.shape[1] == classes - 1, "a channel for the background, and one for each stored value"
    background = 1 - reference.amax(dim=1, keepdim=True)
    return torch.cat([background, reference], dim=1)


def probabilities_and_classes(
    logits: Float[Tensor, "batch class *space"],
    reference: Float[Tensor, "batch region *space"],
    *,
    has_background: bool,
) -> tuple[Float[Tensor, "batch judged *space"], Float[Tensor, "batch judged *space"]]:
    """Return what is predicted and what is right, channel by channel, in single precision.

    As many logits as regions are regions that may overlap (sigmoid); one more makes them exclusive classes with the
    background in front (softmax), which is left out unless `has_background`.
    """
    if logits.shape[1] == reference.shape[1]:
        return torch.sigmoid(logits.float()), reference.float()
    first = 0 if has_background else 1
    predicted = torch.softmax(logits.float(), dim=1)
    return predicted[:, first:], with_background(reference.float(), logits.shape[1])[:, first:]


def only_counted(
    values: Float[Tensor, "batch channel *space"], counted: Bool[Tensor, "batch 1 *space"] | None
) -> Tensor:
    """Return the values with 0 where a voxel must not count."""
    return values if counted is None else torch.where(counted, values, 0.0)
