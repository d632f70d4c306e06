"""What every loss takes and gives."""

import typing
from typing import ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lesionlab.core.network import Output
from lesionlab.core.registry import Registry

Targets: TypeAlias = Literal["regions", "values", "categories"]
"""What a network can be trained to tell: regions, each against the rest; stored values as exclusive classes of voxels,
the background first; or categories of whole cases."""


class Loss(typing.Protocol):
    """A `torch.nn.Module` from a network's output and the reference to one number.

    A loss takes logits, owns the weights of deep supervision, leaves voxels out that `counted` marks False, and is
    finite whatever the reference holds, nothing included.

    Attributes:
        takes: The targets that it can judge; a recipe with others is refused. A class that does not say takes regions.
    """

    takes: ClassVar[frozenset[Targets]]

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
            reference: One channel per region, 0 or 1. Logits of exclusive values have one channel more, the
                background's.
            counted: False where a voxel must not count (an ignored label, padding); None counts all.
        """
        ...


loss: Registry[torch.nn.Module] = Registry("loss")
