"""Attention in which each window of tokens looks at the few windows that resemble it most."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor, nn

from lesionlab.blocks.depthwise import DepthwiseConv
from lesionlab.blocks.drop_path import DropPath
from lesionlab.blocks.full_precision import full_precision


class BiLevelRouting(nn.Module):
    """Multi-head attention to the tokens of the best-matching windows, plus a 5x5 convolution of the values.

    Windows match by the product of their mean query and mean key; the choice has no gradient, and the order of the
    chosen windows plays no part.

    Args:
        channels: Channels of a token; a multiple of `heads`.
        heads: Attention heads.
        window: Side of a window in tokens; it divides the grid.
        routes: Windows that each window looks at; all of them where there are fewer.

    Source: Zhu et al., BiFormer, arXiv:2303.08810. The scale is that of the whole token's channels, not of a head's.
    """

    def __init__(self, channels: int, *, heads: int, window: int, routes: int) -> None:
        super().__init__()
        self.heads, self.window, self.routes = heads, window, routes
        self.scale = channels**-0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.position = DepthwiseConv(channels, kernel_size=5)
        self.merge = nn.Linear(channels, channels)

    def forward(self, tokens: Float[Tensor, "batch y x channel"]) -> Float[Tensor, "batch y x channel"]:
        """Return what each token gathered, on the same grid."""
        batch, height = tokens.shape[:2]
        query, key, value = self._projected(tokens)
        chosen = self.chosen_windows(tokens)
        first = torch.arange(batch, device=chosen.device)[:, None, None] * chosen.shape[1]
        rows = (chosen + first).flatten()
        keys, values = (self._cut(part).index_select(0, rows) for part in (key, value))
        gathered = F.scaled_dot_product_attention(
            self._split_heads(self._cut(query), 1),
            self._split_heads(keys, chosen.shape[-1]),
            self._split_heads(values, chosen.shape[-1]),
            scale=self.scale,
        )
        whole = rearrange(
            gathered,
            "(b i j) head (y x) c -> b (i y) (j x) (head c)",
            b=batch,
            i=height // self.window,
            y=self.window,
        )
        result: Tensor = self.merge(whole + self.position(value))
        return result

    @torch.no_grad()
    def chosen_windows(self, tokens: Float[Tensor, "batch y x channel"]) -> Int[Tensor, "batch window route"]:
        """Return the indices, in row-major order of windows, of those that each window looks at."""
        with full_precision(tokens.device):
            mean = reduce(
                tokens.float(), "b (i y) (j x) c -> b (i j) c", "mean", y=self.window, x=self.window
            )  # projecting the mean is the mean of the projections
            query, key, _ = self._projected(mean)
            match = query @ key.mT
        return match.topk(min(self.routes, match.shape[-1]), dim=-1).indices

    def _projected(self, tokens: Float[Tensor, "*any channel"]) -> list[Float[Tensor, "*any channel"]]:
        """Return queries, keys and values, each without gaps in memory."""
        rows = zip(self.qkv.weight.chunk(3), self.qkv.bias.chunk(3), strict=True)
        return [F.linear(tokens, weight, bias) for weight, bias in rows]

    def _cut(self, tokens: Float[Tensor, "batch y x channel"]) -> Float[Tensor, "batch_window token channel"]:
        """Cut the grid into windows, in row-major order of windows and within them."""
        return rearrange(tokens, "b (i y) (j x) c -> (b i j) (y x) c", y=self.window, x=self.window)

    def _split_heads(
        self, tokens: Float[Tensor, "batch_window_route token channel"], routes: int
    ) -> Float[Tensor, "batch_window head all_tokens head_channel"]:
        """Join the windows that one window looks at; only the view changes."""
        return rearrange(tokens, "(w route) token (head c) -> w head (route token) c", route=routes, head=self.heads)


class BiLevelBlock(nn.Module):
    """Bi-level routing attention, then a two-layer perceptron; after a positional convolution.

    Args:
        channels: Channels of a token.
        heads: Attention heads.
        window: Side of a window in tokens.
        routes: Windows that each window looks at.
        mlp_ratio: How many times more channels the perceptron's hidden layer has.
        drop_path: Odds that a branch is left out for one batch item in training.
        has_entry_norm: Whether tokens also pass the attention's layer norm on entry, which replaces the residual
            stream. BRAU-Net++ and HeteroMedSeg do so, BiFormer does not.

    Source: Zhu et al., BiFormer, arXiv:2303.08810; Lan et al., BRAU-Net++, arXiv:2401.00722.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        window: int,
        routes: int,
        mlp_ratio: float,
        drop_path: float,
        has_entry_norm: bool,
    ) -> None:
        super().__init__()
        hidden = round(mlp_ratio * channels)
        self.has_entry_norm = has_entry_norm
        self.position = DepthwiseConv(channels, kernel_size=3)
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attention = BiLevelRouting(channels, heads=heads, window=window, routes=routes)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Float[Tensor, "batch y x channel"]) -> Float[Tensor, "batch y x channel"]:
        """Return tokens on the same grid."""
        if self.has_entry_norm:
            tokens = self.norm1(tokens)
        tokens = tokens + self.position(tokens)
        tokens = tokens + self.drop_path(self.attention(self.norm1(tokens)))
        result: Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return result
