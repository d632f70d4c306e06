"""Judge auxiliary heads as the main one, on their own grids."""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.core.network import Output
from lesionlab.losses.counted import coarsened


class DeeplySupervised(nn.Module, ABC):
    """A loss of logits that every head of a network pays, auxiliary ones by their weights; the weights sum to 1.

    Args:
        auxiliary_weights: Weights of the auxiliary heads against 1 for the main one, finest first; a head without a
            weight is not supervised.
    """

    def __init__(self, auxiliary_weights: tuple[float, ...]) -> None:
        super().__init__()
        self.auxiliary_weights = auxiliary_weights

    @abstractmethod
    def of_head(
        self,
        logits: Float[Tensor, "batch _ *space"],
        reference: Float[Tensor, "batch region *space"],
        counted: Bool[Tensor, "batch 1 *space"] | None,
    ) -> Float[Tensor, ""]:
        """Return the loss of one head."""

    def forward(
        self,
        output: Output,
        reference: Float[Tensor, "batch region *space"],
        *,
        counted: Bool[Tensor, "batch 1 *space"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the weighted mean over heads."""
        total, weights = self.of_head(output.logits, reference, counted), 1.0
        for weight, logits in zip(self.auxiliary_weights, output.auxiliary, strict=False):
            total = total + weight * self.of_head(
                logits, *coarsened(reference, counted, size=logits.shape[2:], by="nearest")
            )
            weights += weight
        return total / weights
