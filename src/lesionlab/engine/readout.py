"""From logits to the probability of every region."""

from collections.abc import Iterator, Sequence
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

    def count(self, outputs: Float[Tensor, "batch output *space"]) -> int:
        """Return how many regions the outputs are read as."""
        return outputs.shape[1] if self.members is None else len(self.members)

    def probabilities(self, logits: Float[Tensor, "batch output *space"]) -> Float[Tensor, "batch output *space"]:
        """Turn logits into probabilities in their own memory, and return them.

        By sigmoid, or by softmax where outputs are exclusive classes.
        """
        if self.members is None:
            return logits.sigmoid_()
        logits -= logits.amax(dim=1, keepdim=True)
        logits.exp_()
        return logits.div_(logits.sum(dim=1, keepdim=True))

    def each_region(self, outputs: Float32[Tensor, "batch output *space"]) -> Iterator[Float32[Tensor, "batch *space"]]:
        """Yield one number in [0, 1] for each region, the higher the likelier.

        Of exclusive classes it is the probability of the likeliest class in the region as a part of the sum with the
        likeliest one outside: above 0.5 exactly where the likeliest class of all is in the region, and for a single
        class against the background its probability. Two maps are held at a time, beside the outputs.
        """
        if self.members is None:
            yield from outputs.unbind(dim=1)
            return
        for members in self.members:
            others = [position for position in range(outputs.shape[1]) if position not in members]
            inside, outside = _largest(outputs, members), _largest(outputs, others)
            yield inside.div_(outside.add_(inside))


def _largest(
    outputs: Float32[Tensor, "batch output *space"], positions: Sequence[int]
) -> Float32[Tensor, "batch *space"]:
    """Return the largest of these outputs at every place."""
    first, *others = positions
    largest = outputs[:, first].clone()
    for position in others:
        torch.maximum(largest, outputs[:, position], out=largest)
    return largest


EACH_REGION = Readout()
"""One output per region, each against the rest."""
