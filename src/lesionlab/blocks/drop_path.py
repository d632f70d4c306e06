"""Leave out a residual branch at random."""

from jaxtyping import Float
from torch import Tensor, nn


class DropPath(nn.Module):
    """Zero the whole branch of some batch items in training and scale the others up; do nothing in evaluation.

    Args:
        odds: Probability that an item's branch is left out.

    Source: Huang et al., Deep networks with stochastic depth, doi:10.1007/978-3-319-46493-0_39.
    """

    def __init__(self, odds: float) -> None:
        super().__init__()
        self.odds = odds

    def forward(self, branch: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
        """Return the branch, zeroed for the items that were drawn."""
        if not self.training or self.odds == 0:
            return branch
        kept = 1 - self.odds
        drawn = branch.new_empty((branch.shape[0],) + (1,) * (branch.dim() - 1)).bernoulli_(kept)
        return branch * (drawn / kept)
