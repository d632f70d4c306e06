"""Self-attention inside windows."""

from typing import Literal, TypeAlias

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.relative_bias import RelativeBias
from lesionlab.blocks.windows import Windows

Position: TypeAlias = Literal["none", "learned"]


class WindowAttention(nn.Module):
    """Multi-head self-attention in which a token sees the tokens of its own window.

    Args:
        channels: Channels of a token; a multiple of `heads`.
        heads: Attention heads.
        window: Tokens of the largest window along each axis.
        position: "learned" adds a learned bias per offset and head; "none" leaves the order of tokens unknown.
    """

    def __init__(self, channels: int, *, heads: int, window: tuple[int, ...], position: Position) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.relative_bias = RelativeBias(window, heads) if position == "learned" else None

    def forward(
        self, tokens: Float[Tensor, "batch *grid channel"], windows: Windows
    ) -> Float[Tensor, "batch *grid channel"]:
        """Return what each token gathered, on the same grid."""
        cut = windows.split(tokens)
        # Windows join the heads' axis, so that one mask serves the whole batch without a copy.
        query, key, value = rearrange(
            self.qkv(cut), "b window token (three head c) -> three b (window head) token c", three=3, head=self.heads
        )
        gathered = F.scaled_dot_product_attention(query, key, value, attn_mask=self._bias(windows, cut.shape[1]))
        gathered = rearrange(gathered, "b (window head) token c -> b window token (head c)", head=self.heads)
        return windows.merge(self.out(gathered))

    def _bias(self, windows: Windows, count: int) -> Float[Tensor, "1 windows_heads token token"] | None:
        parts: list[Tensor] = []
        if windows.mask is not None:
            parts.append(windows.mask[:, None].expand(-1, self.heads, -1, -1))
        if self.relative_bias is not None:
            parts.append(self.relative_bias(windows.window)[None].expand(count, -1, -1, -1))
        return sum(parts[1:], parts[0]).flatten(0, 1)[None] if parts else None
