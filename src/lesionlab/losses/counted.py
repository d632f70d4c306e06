"""Which voxels a loss counts, at full size and on coarser grids."""

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor

from lesionlab.core.shared_batch import batch_mean

Coarsening: TypeAlias = Literal["nearest", "max"]


def counted_mean(
    values: Float[Tensor, "batch region *space"], counted: Bool[Tensor, "batch 1 *space"] | None
) -> Float[Tensor, ""]:
    """Return the mean over the voxels that count, of a whole batch; 0 where none does."""
    if counted is None:
        return values.mean()
    return batch_mean(torch.where(counted, values, 0.0).sum(), counted.sum() * values.shape[1])


def coarsened(
    reference: Float[Tensor, "batch region *space"],
    counted: Bool[Tensor, "batch 1 *space"] | None,
    *,
    size: torch.Size,
    by: Coarsening,
) -> tuple[Float[Tensor, "batch region *coarse"], Bool[Tensor, "batch 1 *coarse"] | None]:
    """Bring a reference and the mask of counted voxels to a coarser grid, two- or three-dimensional.

    Args:
        reference: 0 or 1.
        counted: False where a voxel must not count; None counts all.
        size: Shape of the coarser grid.
        by: "nearest" samples one voxel per cell, and loses what lies between; "max" marks a cell that holds any
            counted voxel of a region, and counts a cell that holds any counted voxel.
    """
    if reference.shape[2:] == size:
        return reference, counted
    if by == "max" and counted is not None:
        reference = reference * counted
    mask = None if counted is None else _resized(counted.float(), size, by) > 0
    return _resized(reference, size, by), mask


def _resized(values: Tensor, size: torch.Size, by: Coarsening) -> Tensor:
    if by == "nearest":
        return F.interpolate(values, size=size, mode="nearest")
    pooled: Tensor = (F.adaptive_max_pool2d if len(size) == 2 else F.adaptive_max_pool3d)(values, size)
    return pooled
