"""What every loss takes and gives."""

import typing

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lesionlab.core.network import Output
from lesionlab.core.registry import Registry


class Loss(typing.Protocol):
    """A `torch.nn.Module` from a network's output and the reference to one number.

    A loss takes logits, owns the weights of deep supervision, leaves voxels out that `counted` marks False, and is
    finite whatever the reference holds, nothing included.
    """

    def __call__(
        self,
        output: Output,
        reference: Float[Tensor, "batch region *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean loss over the batch.

        Args:
            output: What the network said.
            reference: One channel per region, 0 or 1.
            counted: False where a voxel must not count (an ignored label, padding); None counts all.
        """
        ...


loss: Registry[torch.nn.Module] = Registry("loss")
