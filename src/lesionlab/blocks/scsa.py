"""Spatial and channel synergistic attention (SCSA): gates along each axis, then one per channel."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

KERNEL_SIZES = (3, 5, 7, 9)
"""Of the convolutions along an axis; each sees a quarter of the channels."""

POOL = 7
"""Side of the squares that are averaged before channels are compared."""


class Scsa(nn.Module):
    """Gate tokens by their row, their column and their channel.

    The gates of rows and columns come from the profiles along each axis; those of channels from attention between the
    channels of a head, over averages of 7x7 tokens (an axis shorter than that is averaged whole; what is left over at
    the end of a longer one is not seen).

    Args:
        channels: Channels of a token; a multiple of `heads` and of 4.
        heads: Groups of channels that are compared with each other.

    Source: Si et al., SCSA, arXiv:2407.05128.
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        part = channels // len(KERNEL_SIZES)
        self.heads, self.scale = heads, (channels // heads) ** -0.5
        self.profiles = nn.ModuleList(
            nn.Conv1d(part, part, size, padding=size // 2, groups=part) for size in KERNEL_SIZES
        )
        self.norm_y = nn.GroupNorm(len(KERNEL_SIZES), channels)
        self.norm_x = nn.GroupNorm(len(KERNEL_SIZES), channels)
        self.norm = nn.GroupNorm(1, channels)
        self.query, self.key, self.value = (nn.Parameter(torch.empty(channels).uniform_(-1, 1)) for _ in range(3))

    def forward(self, tokens: Float[Tensor, "batch y x channel"]) -> Float[Tensor, "batch y x channel"]:
        """Return the gated tokens."""
        along_y = rearrange(self._gate(tokens.mean(2), self.norm_y), "b c y -> b y 1 c")
        along_x = rearrange(self._gate(tokens.mean(1), self.norm_x), "b c x -> b 1 x c")
        gated = tokens * along_y * along_x
        return gated * self._channel_gate(gated)[:, None, None]

    def _gate(
        self, profile: Float[Tensor, "batch place channel"], norm: nn.GroupNorm
    ) -> Float[Tensor, "batch channel place"]:
        parts = rearrange(profile, "b place c -> b c place").chunk(len(KERNEL_SIZES), dim=1)
        seen = [conv(part) for conv, part in zip(self.profiles, parts, strict=True)]
        return torch.sigmoid(norm(torch.cat(seen, dim=1)))

    def _channel_gate(self, tokens: Float[Tensor, "batch y x channel"]) -> Float[Tensor, "batch channel"]:
        """Let the channels of a head look at each other.

        Queries, keys and values are the averages times a number per channel, so that none need be written out.
        """
        maps = rearrange(tokens, "b y x c -> b c y x")
        averages = self.norm(F.avg_pool2d(maps, (min(POOL, maps.shape[2]), min(POOL, maps.shape[3]))))
        averages = rearrange(averages, "b (head c) y x -> b head c (y x)", head=self.heads)
        query, key, value = (part.view(self.heads, -1) for part in (self.query, self.key, self.value))
        match = (averages @ averages.mT) * (query[..., :, None] * key[..., None, :] * self.scale)
        found = match.softmax(-1) @ (averages.mean(-1) * value)[..., None]
        return torch.sigmoid(found.flatten(1))
