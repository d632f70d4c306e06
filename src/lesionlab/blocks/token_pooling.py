"""One vector for a whole volume from the vectors of its parts."""

from typing import Literal, TypeAlias

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

Pool: TypeAlias = Literal["token0", "mean", "attention"]
FixedPool: TypeAlias = Literal["token0", "token1", "mean"]
"""The mean of all tokens, or one of the first two along the last axis: a corner of the volume, as published."""


def pool_tokens(features: Float[Tensor, "batch channel i j k"], pool: FixedPool) -> Float[Tensor, "batch channel"]:
    """Return one vector per volume, with nothing to learn; "token1" needs at least two tokens."""
    tokens = rearrange(features, "batch channel i j k -> batch (i j k) channel")
    return tokens.mean(dim=1) if pool == "mean" else tokens[:, int(pool[-1])]


class TokenPooling(nn.Module):
    """Make one vector of all tokens.

    Args:
        channels: Of a token.
        pool: The "mean" of all tokens, an "attention" that learns which of them matter, or "token0", the first: a
            corner of the volume, as sa-swin was published.
    """

    def __init__(self, channels: int, *, pool: Pool) -> None:
        super().__init__()
        self.pool: Pool = pool
        self.interest = nn.Linear(channels, 1, bias=False) if pool == "attention" else None

    def forward(self, tokens: Float[Tensor, "batch token channel"]) -> Float[Tensor, "batch channel"]:
        """Return one vector per image."""
        if self.interest is not None:
            weights: Tensor = self.interest(tokens).softmax(dim=1)
            return (weights * tokens).sum(dim=1)
        return tokens[:, 0] if self.pool == "token0" else tokens.mean(dim=1)
