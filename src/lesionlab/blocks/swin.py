"""Swin transformer blocks on a grid of tokens."""

from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.drop_path import DropPath
from lesionlab.blocks.window_attention import Position, WindowAttention
from lesionlab.blocks.windows import Windows


class SwinBlock(nn.Module):
    """Window attention, then a two-layer perceptron; each after its layer norm and beside a shortcut.

    Args:
        channels: Channels of a token.
        heads: Attention heads.
        window: Tokens of the largest window along each axis.
        mlp_ratio: How many times more channels the perceptron's hidden layer has.
        drop_path: Odds that a branch is left out for one batch item in training.
        position: Whether attention knows where in the window a token lies.

    Source: Liu et al., Swin Transformer, doi:10.1109/ICCV48922.2021.00986.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        window: tuple[int, ...],
        mlp_ratio: float,
        drop_path: float,
        position: Position,
    ) -> None:
        super().__init__()
        hidden = round(mlp_ratio * channels)
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads=heads, window=window, position=position)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
        self.drop_path = DropPath(drop_path)

    def forward(
        self, tokens: Float[Tensor, "batch *grid channel"], windows: Windows
    ) -> Float[Tensor, "batch *grid channel"]:
        """Return tokens on the same grid."""
        tokens = tokens + self.drop_path(self.attention(self.norm1(tokens), windows))
        result: Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return result


class SwinLayer(nn.Module):
    """A Swin block on plain windows, then one on shifted windows.

    Args:
        channels: Channels of a token.
        heads: Attention heads.
        window: Tokens of the largest window along each axis.
        mlp_ratio: How many times more channels the perceptrons' hidden layers have.
        drop_path: Odds that a branch is left out for one batch item in training.
        position: Whether attention knows where in the window a token lies.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        window: tuple[int, ...],
        mlp_ratio: float,
        drop_path: float,
        position: Position,
    ) -> None:
        super().__init__()
        self.plain, self.shifted = (
            SwinBlock(channels, heads=heads, window=window, mlp_ratio=mlp_ratio, drop_path=drop_path, position=position)
            for _ in range(2)
        )

    def forward(
        self, tokens: Float[Tensor, "batch *grid channel"], plain: Windows, shifted: Windows
    ) -> Float[Tensor, "batch *grid channel"]:
        """Return tokens on the same grid."""
        result: Tensor = self.shifted(self.plain(tokens, plain), shifted)
        return result


class SwinStack(nn.ModuleList):
    """Swin layers in a row."""

    def forward(
        self, tokens: Float[Tensor, "batch *grid channel"], plain: Windows, shifted: Windows
    ) -> Float[Tensor, "batch *grid channel"]:
        """Return tokens on the same grid; all layers share both cuts."""
        for layer in self:
            tokens = layer(tokens, plain, shifted)
        return tokens
