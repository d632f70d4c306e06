"""Two groups of tokens that look at each other."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class GroupExchange(nn.Module):
    """Cross-attention between two groups of tokens, once in each direction, from the tokens as they came.

    Each group is added to what it gathered and normalised. A group whose counterpart is wholly absent gathers
    nothing. There is no perceptron and no position code.

    Args:
        channels: Channels of a token; a multiple of `heads`.
        heads: Attention heads.
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.first = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.second = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm_first = nn.LayerNorm(channels)
        self.norm_second = nn.LayerNorm(channels)

    def forward(
        self,
        groups: tuple[Float[Tensor, "batch first channel"], Float[Tensor, "batch second channel"]],
        present: tuple[Bool[Tensor, "batch first"], Bool[Tensor, "batch second"]],
    ) -> tuple[Float[Tensor, "batch first channel"], Float[Tensor, "batch second channel"]]:
        """Return both groups enriched.

        Args:
            groups: The tokens of both groups.
            present: False for tokens that nobody may look at.
        """
        first = groups[0] + _gathered(self.first, groups[0], groups[1], present[1])
        second = groups[1] + _gathered(self.second, groups[1], groups[0], present[0])
        return self.norm_first(first), self.norm_second(second)


def _gathered(attention: nn.MultiheadAttention, query: Tensor, source: Tensor, present: Tensor) -> Tensor:
    has_source = present.any(dim=1, keepdim=True)
    # An item without any source looks at all of it, since a softmax over nothing is NaN, and its result is dropped.
    hidden = ~present & has_source
    result, _ = attention(query, source, source, key_padding_mask=hidden, need_weights=False)
    return torch.where(has_source[:, :, None], result, 0.0)
