"""One vector for a whole grid of tokens."""

from typing import Literal, TypeAlias

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

Pool: TypeAlias = Literal["mean", "token0", "token1"]
"""The mean of all tokens, or one of the first two along the last axis: a corner of the volume, as published."""


def pool_tokens(features: Float[Tensor, "batch channel i j k"], pool: Pool) -> Float[Tensor, "batch channel"]:
    """Return one vector per volume; "token1" needs at least two tokens."""
    tokens = rearrange(features, "batch channel i j k -> batch (i j k) channel")
    return tokens.mean(dim=1) if pool == "mean" else tokens[:, int(pool[-1])]
