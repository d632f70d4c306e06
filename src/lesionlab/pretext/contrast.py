"""Find the other view of the same volume among all views of a batch."""

from typing import ClassVar

import torch
import torch.distributed
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather

from lesionlab.blocks.token_pooling import FixedPool, pool_tokens
from lesionlab.core.numbers import PositiveInt
from lesionlab.core.pretext import View, pretext


@pretext("contrast")
class Contrast(nn.Module):
    """NT-Xent: the other view of a volume is the answer, all other views of all volumes are wrong.

    Where several processes train together, each compares its volumes with those of all of them.

    Args:
        modalities: Not used; every objective is told.
        channels: Of the deepest features.
        features: Length of the vectors that are compared.
        temperature: Smaller ones tell similar volumes apart more sharply.
        pool: What stands for the volume; "token1" as published.

    Source: Chen et al., SimCLR, arXiv 2002.05709; as used by Ma et al., arXiv 2407.08948.
    Differs: any batch size, where the published buffer is bound to one.
    """

    needs_categories: ClassVar[bool] = False

    def __init__(
        self,
        *,
        modalities: PositiveInt,  # noqa: ARG002 - see above
        channels: PositiveInt,
        features: PositiveInt = 512,
        temperature: PositiveFloat = 0.5,
        pool: FixedPool = "mean",
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.pool: FixedPool = pool
        self.head = nn.Linear(channels, features)

    def forward(self, views: tuple[View, View], is_healthy: Bool[Tensor, "batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return the mean over all views; 0 for one volume alone, which has no wrong answers."""
        first, second = (self.head(pool_tokens(view.seen, self.pool)).float() for view in views)
        return contrast_loss(_of_all_ranks(first), _of_all_ranks(second), temperature=self.temperature)


def contrast_loss(
    first: Float[Tensor, "batch feature"], second: Float[Tensor, "batch feature"], *, temperature: float
) -> Float[Tensor, ""]:
    """Return NT-Xent of vectors of two views, those of one volume in the same row."""
    vectors = F.normalize(torch.cat([first, second]), dim=1)
    likeness = (vectors @ vectors.T / temperature).fill_diagonal_(float("-inf"))
    answers = torch.arange(len(vectors), device=vectors.device).roll(len(first))
    return F.cross_entropy(likeness, answers)


def _of_all_ranks(vectors: Float[Tensor, "batch feature"]) -> Float[Tensor, "_ feature"]:
    if not torch.distributed.is_initialized():
        return vectors
    return torch.cat(list(all_gather(vectors)))  # type: ignore[no-untyped-call]  # it has no annotations
