"""Coarse tokens become finer ones."""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class PatchExpand(nn.Module):
    """Each token becomes a square of pieces: one linear map, then layer norm of every piece.

    Args:
        channels: Channels of a token.
        channels_out: Channels of a piece.
        factor: Pieces along each side of the square.
    """

    def __init__(self, channels: int, *, channels_out: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(channels, factor * factor * channels_out, bias=False)
        self.norm = nn.LayerNorm(channels_out)

    def forward(self, tokens: Float[Tensor, "batch y x _"]) -> Float[Tensor, "batch fine_y fine_x _"]:
        """Return a grid that is `factor` times as fine."""
        return self.lay_out(self.pieces(tokens))

    def pieces(self, tokens: Float[Tensor, "batch y x _"]) -> Float[Tensor, "batch y x piece _"]:
        """Return the pieces of each token in row-major order.

        What follows and treats every piece alike (a linear head) is cheaper before `lay_out` than after it.
        """
        pieces = rearrange(self.expand(tokens), "b y x (piece c) -> b y x piece c", piece=self.factor**2)
        normed: Tensor = self.norm(pieces)
        return normed

    def lay_out(self, pieces: Float[Tensor, "batch y x piece channel"]) -> Float[Tensor, "batch fine_y fine_x channel"]:
        """Put the pieces of all tokens on one fine grid."""
        return rearrange(pieces, "b y x (p q) c -> b (y p) (x q) c", p=self.factor)
