"""Attention from an image to its mirror image."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.relative_bias import RelativeBias
from lesionlab.blocks.window_attention import Position

_EPS = 1e-12
_REACH = 7
"""Offsets of this many tokens and more share one learned bias."""


class SymmetryAttention(nn.Module):
    """One decoder layer: tokens look at each other, then at the mirror image's, then pass a perceptron.

    Each step is added to its input and layer-normalised. The mirror image's tokens are used as they come.

    Args:
        channels: Channels of a token; a multiple of `heads`.
        heads: Attention heads.
        has_self_attention: Whether tokens look at each other first; the paper's formula has no such step.
        position: "learned" adds a bias per offset and head to both attentions; "none" leaves places unknown.
        has_twin_bias: Whether each head learns how much more a token looks at its mirror twin than at others.
        dropout: Odds that an attention, or a channel that a step adds, is zeroed in training.

    Source: Ma et al., SACA, MICCAI 2024, arXiv:2407.08948; bitMyron/sa-swin, commit 5c0bc10.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        has_self_attention: bool,
        position: Position,
        has_twin_bias: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.self_attention = (
            _Attention(channels, heads=heads, position=position, has_twin_bias=False, dropout=dropout)
            if has_self_attention
            else None
        )
        self.cross_attention = _Attention(
            channels, heads=heads, position=position, has_twin_bias=has_twin_bias, dropout=dropout
        )
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.norm = nn.LayerNorm(channels, eps=_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, tokens: Float[Tensor, "batch *grid channel"], mirrored: Float[Tensor, "batch *grid channel"]
    ) -> Float[Tensor, "batch *grid channel"]:
        """Return tokens on the same grid.

        Args:
            tokens: Of the image.
            mirrored: Of its mirror image, so that a token and its mirror twin have the same place.
        """
        if self.self_attention is not None:
            tokens = self.self_attention(tokens, tokens)
        tokens = self.cross_attention(tokens, mirrored)
        result: Tensor = self.norm(tokens + self.dropout(self.mlp(tokens)))
        return result


class _Attention(nn.Module):
    """Multi-head attention, added to who asked, then normalised."""

    def __init__(self, channels: int, *, heads: int, position: Position, has_twin_bias: bool, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))
        self.norm = nn.LayerNorm(channels, eps=_EPS)
        self.dropout = nn.Dropout(dropout)
        self.relative_bias = RelativeBias((_REACH,) * 3, heads) if position == "learned" else None
        self.twin_bias = nn.Parameter(torch.zeros(heads)) if has_twin_bias else None

    def forward(
        self, asking: Float[Tensor, "batch *grid channel"], asked: Float[Tensor, "batch *grid channel"]
    ) -> Float[Tensor, "batch *grid channel"]:
        query, key, value = (
            rearrange(part, "batch ... (head c) -> batch head (...) c", head=self.heads)
            for part in (self.query(asking), self.key(asked), self.value(asked))
        )
        odds = self.dropout.p if self.training else 0.0
        bias = self._bias(tuple(asking.shape[1:-1]))
        gathered = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=odds)
        together = rearrange(gathered, "batch head token c -> batch token (head c)").reshape(asking.shape)
        result: Tensor = self.norm(asking + self.dropout(self.out(together)))
        return result

    def _bias(self, grid: tuple[int, ...]) -> Float[Tensor, "head token token"] | None:
        parts: list[Tensor] = []
        if self.relative_bias is not None:
            parts.append(self.relative_bias(grid))
        if self.twin_bias is not None:
            is_twin = torch.eye(torch.Size(grid).numel(), device=self.twin_bias.device)
            parts.append(self.twin_bias[:, None, None] * is_twin)
        return sum(parts[1:], parts[0]) if parts else None
