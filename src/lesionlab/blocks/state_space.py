"""State-space layers on a grid of tokens."""

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.depthwise import DepthwiseConv
from lesionlab.blocks.drop_path import DropPath
from lesionlab.blocks.full_precision import full_precision
from lesionlab.blocks.state_space_scan import bidirectional_scan, causal_scan, noncausal_scan

ScanOrder: TypeAlias = Literal["noncausal", "causal", "bidirectional"]

SCANS: dict[ScanOrder, Callable[..., Tensor]] = {
    "noncausal": noncausal_scan,
    "causal": causal_scan,
    "bidirectional": bidirectional_scan,
}

LEAST_STEP, MOST_STEP = 1e-3, 0.1
"""Between these a head's step starts, evenly spread in its logarithm."""

MOST_DECAY = 16.0
"""Between 1 and this a head's decay starts."""


class StateSpace(nn.Module):
    """Mix tokens through the state of a scan, after a 3x3 convolution, and gate the result.

    Steps, decays and the state are float32 whatever the precision of the rest.

    Args:
        channels: Channels of a token.
        heads: Heads of the scan; a divisor of twice the channels.
        state_size: Rows of a head's state.
        order: "noncausal": one state of all tokens. "causal": earlier tokens in row-major order. "bidirectional": the
            first half of the heads (and the middle one) scans forward, the rest backward, each with keys and queries
            of its own.

    Source: Dao and Gu, arXiv:2405.21060; Shi et al., arXiv:2407.18559.
    """

    def __init__(self, channels: int, *, heads: int, state_size: int, order: ScanOrder) -> None:
        super().__init__()
        self.heads, self.order = heads, order
        inner, states = 2 * channels, state_size * (2 if order == "bidirectional" else 1)
        self.parts = [inner, states, states]
        self.expand = nn.Linear(channels, inner + sum(self.parts) + heads, bias=False)
        self.conv = DepthwiseConv(sum(self.parts), kernel_size=3)
        self.log_decay = nn.Parameter(torch.empty(heads).uniform_(1, MOST_DECAY).log())
        self.step_bias = nn.Parameter(_first_steps(heads))
        self.own = nn.Parameter(torch.ones(heads))
        self.norm = nn.LayerNorm(inner)
        self.merge = nn.Linear(inner, channels, bias=False)

    def forward(self, tokens: Float[Tensor, "batch y x channel"]) -> Float[Tensor, "batch y x channel"]:
        """Return tokens on the same grid."""
        # One product per part, so that each lies in memory without gaps.
        rows = torch.split(self.expand.weight, [self.parts[0], sum(self.parts), self.heads])
        gate, mixed, step = (F.linear(tokens, row) for row in rows)
        values, keys, queries = torch.split(F.silu(self.conv(mixed)).flatten(1, 2), self.parts, dim=2)
        with full_precision(tokens.device):
            step = F.softplus(step.flatten(1, 2).float() + self.step_bias)
            values = rearrange(values.float(), "b token (head c) -> b token head c", head=self.heads)
            scan, decay = SCANS[self.order], self.log_decay.exp()
            read = scan(values, keys=keys.float(), queries=queries.float(), step=step, decay=decay)
            read = torch.addcmul(read, values, self.own[:, None])
        result: Tensor = self.merge(self.norm(read.flatten(2)).view_as(gate) * gate)
        return result


class StateSpaceBlock(nn.Module):
    """A state-space layer, then a two-layer perceptron; each after a positional convolution and its layer norm.

    Args:
        channels: Channels of a token.
        heads: Heads of the scan.
        state_size: Rows of a head's state.
        order: As in `StateSpace`.
        mlp_ratio: How many times more channels the perceptron's hidden layer has.
        drop_path: Odds that a branch is left out for one batch item in training.

    Source: Shi et al., VSSD, arXiv:2407.18559.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        state_size: int,
        order: ScanOrder,
        mlp_ratio: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        hidden = round(mlp_ratio * channels)
        self.position1 = DepthwiseConv(channels, kernel_size=3)
        self.norm1 = nn.LayerNorm(channels)
        self.state_space = StateSpace(channels, heads=heads, state_size=state_size, order=order)
        self.position2 = DepthwiseConv(channels, kernel_size=3)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Float[Tensor, "batch y x channel"]) -> Float[Tensor, "batch y x channel"]:
        """Return tokens on the same grid."""
        tokens = tokens + self.position1(tokens)
        tokens = tokens + self.drop_path(self.state_space(self.norm1(tokens)))
        tokens = tokens + self.position2(tokens)
        result: Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return result


def _first_steps(heads: int) -> Float[Tensor, " head"]:
    """Draw the biases that, through softplus, give the first steps."""
    step = torch.empty(heads).uniform_(math.log(LEAST_STEP), math.log(MOST_STEP)).exp()
    return step + torch.log(-torch.expm1(-step))
