"""Tell how an image was turned."""

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.token_pooling import FixedPool, pool_tokens
from lesionlab.core.numbers import PositiveInt
from lesionlab.core.pretext import View, pretext


@pretext("rotation")
class Rotation(nn.Module):
    """Cross-entropy of the four quarter turns about the left-right axis, which leave an image's mirror image its own.

    Args:
        modalities: Not used; every objective is told.
        channels: Of the deepest features.
        pool: What stands for the volume; "token0" as published.

    Source: Ma et al., MICCAI 2024, arXiv 2407.08948; bitMyron/sa-swin, commit 5c0bc10.
    """

    needs_categories: ClassVar[bool] = False

    def __init__(self, *, modalities: PositiveInt, channels: PositiveInt, pool: FixedPool = "mean") -> None:  # noqa: ARG002 - see above
        super().__init__()
        self.pool: FixedPool = pool
        self.head = nn.Linear(channels, 4)

    def forward(self, views: tuple[View, View], is_healthy: Bool[Tensor, "batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return the mean over both views."""
        logits = torch.cat([self.head(pool_tokens(view.seen, self.pool)) for view in views])
        return F.cross_entropy(logits.float(), torch.cat([view.turns for view in views]))
