"""Scans of a state-space layer: what each token remembers of the others, in time linear in their number.

Every head keeps a state, a matrix of keys by channels. Token t writes the outer product of its key and its value into
it, and reads what its query finds there. All heads share keys and queries, so that the products below need no split
into heads.

Source: Dao and Gu, Transformers are SSMs, arXiv:2405.21060; Shi et al., VSSD, arXiv:2407.18559.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

CHUNK = 128
"""Tokens that the causal scan compares pairwise; longer sequences hand a state from chunk to chunk."""

LONGEST_CHUNK = 256
"""A sequence up to this long is one chunk: comparing all pairs is then faster than handing on."""


def noncausal_scan(
    values: Float[Tensor, "batch token head channel"],
    *,
    keys: Float[Tensor, "batch token state"],
    queries: Float[Tensor, "batch token state"],
    step: Float[Tensor, "batch token head"],
    decay: Float[Tensor, " head"],
) -> Float[Tensor, "batch token head channel"]:
    """Return what each token reads from one state that all tokens wrote, weighted by ``step * decay``.

    The order of tokens plays no part.

    Args:
        values: What a token writes.
        keys: Where it writes.
        queries: Where it reads.
        step: How much it weighs; positive.
        decay: Rate of each head; positive.
    """
    weighted = values * (step * decay)[..., None]
    state = keys.mT @ weighted.flatten(2)
    return (queries @ state).view(values.shape)


def causal_scan(
    values: Float[Tensor, "batch token head channel"],
    *,
    keys: Float[Tensor, "batch token state"],
    queries: Float[Tensor, "batch token state"],
    step: Float[Tensor, "batch token head"],
    decay: Float[Tensor, " head"],
) -> Float[Tensor, "batch token head channel"]:
    """Return what each token reads from a state that it and earlier tokens wrote.

    The state shrinks by ``exp(-step * decay)`` at every token, which then adds its value times `step`.

    Args:
        values: What a token writes.
        keys: Where it writes.
        queries: Where it reads.
        step: How much it weighs, and how much is forgotten; positive.
        decay: Rate of each head; positive.
    """
    length = values.shape[1]
    size = length if length <= LONGEST_CHUNK else CHUNK
    keys, queries, step, values = (_chunks(part, size) for part in (keys, queries, step, values))
    faded = -(step * decay).cumsum(2)
    written = values * step[..., None]
    read = _within_chunks(written, keys=keys, queries=queries, faded=faded)
    if length > size:
        read = read + _between_chunks(written, keys=keys, queries=queries, faded=faded)
    return read.flatten(1, 2)[:, :length]


def bidirectional_scan(
    values: Float[Tensor, "batch token head channel"],
    *,
    keys: Float[Tensor, "batch token states"],
    queries: Float[Tensor, "batch token states"],
    step: Float[Tensor, "batch token head"],
    decay: Float[Tensor, " head"],
) -> Float[Tensor, "batch token head channel"]:
    """Return causal scans of two halves of the heads, the second one from the last token to the first.

    Differs: of an odd number of heads the middle one scans forward; the published code demands an even number.

    Args:
        values: What a token writes.
        keys: Where it writes: first those of the forward scan, then those of the backward one.
        queries: Where it reads, in the same order.
        step: How much it weighs, and how much is forgotten; positive.
        decay: Rate of each head; positive.
    """
    forward = (len(decay) + 1) // 2
    keys_ahead, keys_back = keys.chunk(2, dim=2)
    queries_ahead, queries_back = queries.chunk(2, dim=2)
    ahead = causal_scan(
        values[:, :, :forward], keys=keys_ahead, queries=queries_ahead, step=step[..., :forward], decay=decay[:forward]
    )
    back = causal_scan(
        values[:, :, forward:].flip(1),
        keys=keys_back.flip(1),
        queries=queries_back.flip(1),
        step=step[..., forward:].flip(1),
        decay=decay[forward:],
    )
    return torch.cat([ahead, back.flip(1)], dim=2)


def _chunks(part: Tensor, size: int) -> Tensor:
    """Cut the axis of tokens; tokens of zeros fill the last chunk, and with a step of 0 change nothing."""
    padding = -part.shape[1] % size
    padded = F.pad(part, (0, 0) * (part.dim() - 2) + (0, padding))
    return rearrange(padded, "b (chunk token) ... -> b chunk token ...", token=size)


def _within_chunks(
    written: Float[Tensor, "batch chunk token head channel"],
    *,
    keys: Float[Tensor, "batch chunk token state"],
    queries: Float[Tensor, "batch chunk token state"],
    faded: Float[Tensor, "batch chunk token head"],
) -> Float[Tensor, "batch chunk token head channel"]:
    """Compare every token with the earlier ones of its own chunk."""
    faded = rearrange(faded, "b chunk token head -> b chunk head token")
    between = faded[..., :, None] - faded[..., None, :]
    is_later = torch.ones(between.shape[-2:], dtype=torch.bool, device=between.device).triu(1)
    remembered = between.masked_fill(is_later, -torch.inf).exp()
    weights = (queries @ keys.mT)[:, :, None] * remembered
    read = weights @ rearrange(written, "b chunk token head c -> b chunk head token c")
    return rearrange(read, "b chunk head token c -> b chunk token head c")


def _between_chunks(
    written: Float[Tensor, "batch chunk token head channel"],
    *,
    keys: Float[Tensor, "batch chunk token state"],
    queries: Float[Tensor, "batch chunk token state"],
    faded: Float[Tensor, "batch chunk token head"],
) -> Float[Tensor, "batch chunk token head channel"]:
    """Hand each chunk the state that earlier chunks left."""
    shape = written.shape
    last = faded[:, :, -1:]
    left = keys.mT @ (written * (last - faded).exp()[..., None]).flatten(3)
    kept = last.exp().repeat_interleave(shape[-1], dim=-1)
    state, states = torch.zeros_like(left[:, 0]), []
    for chunk in range(shape[1]):
        states.append(state)
        state = state * kept[:, chunk] + left[:, chunk]
    read = (queries @ torch.stack(states, dim=1)).view(shape)
    return read * faded.exp()[..., None]
