"""From logits to the probability of every region."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from lesionlab.core.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """How a network's outputs are to be read.

    Attributes:
        members: For each region the exclusive classes in it, counted from 1 since 0 is the background; None where
            each output is one region against the rest.
    """

    members: tuple[tuple[int, ...], ...] | None = None

    @classmethod
    def of(cls, plan: Plan) -> "Readout":
        """Return how the outputs of a plan's network are to be read."""
        if plan.recipe.classes == "regions":
            return cls()
        values = plan.targets.names
        regions = plan.regions.values()
        return cls(members=tuple(tuple(1 + values.index(str(value)) for value in region) for region in regions))

    def probabilities(self, logits: Float[Tensor, "batch output *space"]) -> Float[Tensor, "batch output *space"]:
        """Return one probability per output: by sigmoid, or by softmax where they are exclusive classes."""
        return torch.sigmoid(logits) if self.members is None else torch.softmax(logits, dim=1)

    def regions(self, outputs: Float32[Tensor, "batch output *space"]) -> Float32[Tensor, "batch region *space"]:
        """Return one number in [0, 1] per region, the higher the likelier.

        Of exclusive classes it is the probability of the likeliest class in the region as a part of the sum with the
        likeliest one outside: above 0.5 exactly where the likeliest class of all is in the region, and for a single
        class against the background its probability.
        """
        if self.members is None:
            return outputs
        regions = []
        for members in self.members:
            others = [position for position in range(outputs.shape[1]) if position not in members]
            inside, outside = outputs[:, list(members)].amax(dim=1), outputs[:, others].amax(dim=1)
            regions.append(inside / (inside + outside))
        return torch.stack(regions, dim=1)


EACH_REGION = Readout()
"""One output per region, each against the rest."""
