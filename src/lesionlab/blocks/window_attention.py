"""Self-attention inside windows."""

import math
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.recomputed_attention import recomputed_attention
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
        bias = self._bias(windows)
        is_trained = torch.is_grad_enabled() and not torch.compiler.is_compiling()
        if bias is not None and tokens.device.type == "cpu" and is_trained:
            return recomputed_attention(tokens, windows, project=self.qkv, out=self.out, bias=bias)
        # Windows of one kind share bias and mask, so that no array holds both for every window.
        cut = windows.split(tokens)[:, windows.order]
        qkv = rearrange(
            self.qkv(cut), "b window token (three head c) -> three b window head token c", three=3, head=self.heads
        )
        kinds = torch.split(qkv, [len(members) for members in windows.members], dim=2)
        gathered = [_attend(*of_kind, bias=bias) for of_kind, bias in zip(kinds, _biases(bias, windows), strict=True)]
        result = rearrange(torch.cat(gathered, dim=1), "b window head token c -> b window token (head c)")
        return windows.merge(self.out(result)[:, windows.places])

    def _bias(self, windows: Windows) -> Float[Tensor, "head token token"] | None:
        if self.relative_bias is None:
            return None
        if windows.rule == "monai":
            return self.relative_bias.of_first_tokens(math.prod(windows.window))
        bias: Tensor = self.relative_bias(windows.window)
        return bias


def _biases(
    bias: Float[Tensor, "head token token"] | None, windows: Windows
) -> list[Float[Tensor, "_ token token"] | None]:
    """Return what to add to the logits of each kind of window."""
    if windows.masks is None:
        return [bias] * len(windows.members)
    return [mask[None] if bias is None else bias + mask for mask in windows.masks]


def _attend(
    query: Float[Tensor, "batch window head token channel"],
    key: Float[Tensor, "batch window head token channel"],
    value: Float[Tensor, "batch window head token channel"],
    *,
    bias: Float[Tensor, "_ token token"] | None,
) -> Float[Tensor, "batch window head token channel"]:
    # A bias that was gathered from a table has its heads innermost, which triples the time.
    mask = None if bias is None else bias[None].to(query.dtype).contiguous()
    return F.scaled_dot_product_attention(
        query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1), attn_mask=mask
    ).reshape(query.shape)
