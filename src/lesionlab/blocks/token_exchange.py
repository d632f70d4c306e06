"""Pool every modality to a small grid of tokens, exchange between two groups, and join the result."""

from itertools import chain

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.group_exchange import GroupExchange
from lesionlab.blocks.window_attention import Position
from lesionlab.core.errors import OptionError


class TokenExchange(nn.Module):
    """One feature map from one per modality, by attention between two groups of modalities.

    Args:
        modalities: How many streams there are.
        channels: Channels of each stream and of the result.
        token_channels: Channels of the tokens.
        heads: Attention heads.
        token_grid: Tokens along each axis.
        position: "learned" adds one learned code per token, zero at the start and shared by the modalities.
        groups: Indices of the modalities of both groups; a modality in both gets the mean of both results. Both
            empty: the first half against the second half (a lone modality against itself).

    Raises:
        OptionError: A group is empty, or the groups leave a modality out or name one that does not exist.
    """

    def __init__(
        self,
        modalities: int,
        *,
        channels: int,
        token_channels: int,
        heads: int,
        token_grid: int,
        position: Position,
        groups: tuple[tuple[int, ...], tuple[int, ...]],
    ) -> None:
        super().__init__()
        self.groups = groups if any(groups) else _halves(modalities)
        _check_groups(self.groups, modalities)
        self.token_grid = token_grid
        self.project = nn.Conv2d(channels, token_channels, 1)
        self.exchange = GroupExchange(token_channels, heads=heads)
        self.merge = nn.Conv2d(modalities * token_channels, channels, 1)
        shape = (token_channels, token_grid, token_grid)
        self.position = nn.Parameter(torch.zeros(shape)) if position == "learned" else None

    def forward(
        self, streams: list[Float[Tensor, "batch channel height width"]], present: Bool[Tensor, "batch modality"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return the joint features at the streams' size.

        Args:
            streams: The deepest features of each modality.
            present: False for a modality that was not measured: nobody looks at it and it adds nothing.
        """
        tokens = [self._tokens(stream) for stream in streams]
        count = self.token_grid**2
        first, second = (torch.cat([tokens[index] for index in group], dim=1) for group in self.groups)
        seen_first, seen_second = (present[:, group].repeat_interleave(count, dim=1) for group in self.groups)
        enriched = self._per_modality(*self.exchange((first, second), (seen_first, seen_second)))
        joined = torch.cat(enriched, dim=2) * present.repeat_interleave(first.shape[2], dim=1)[:, None]
        grid = rearrange(joined, "batch (y x) channel -> batch channel y x", y=self.token_grid)
        return F.interpolate(self.merge(grid), size=streams[0].shape[2:], mode="bilinear", align_corners=False)

    def _tokens(self, stream: Tensor) -> Float[Tensor, "batch token channel"]:
        grid: Tensor = self.project(F.adaptive_avg_pool2d(stream, self.token_grid))
        if self.position is not None:
            grid = grid + self.position
        return rearrange(grid, "batch channel y x -> batch (y x) channel")

    def _per_modality(self, first: Tensor, second: Tensor) -> list[Tensor]:
        """Return each modality's tokens: the mean over the groups in which it takes part."""
        parts: list[list[Tensor]] = [[] for _ in set(chain(*self.groups))]
        for group, tokens in zip(self.groups, (first, second), strict=True):
            for index, part in zip(group, tokens.chunk(len(group), dim=1), strict=True):
                parts[index].append(part)
        return [torch.stack(found).mean(dim=0) if len(found) > 1 else found[0] for found in parts]


def _halves(modalities: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    middle = (modalities + 1) // 2
    return tuple(range(middle)), tuple(range(middle, modalities)) or (0,)


def _check_groups(groups: tuple[tuple[int, ...], tuple[int, ...]], modalities: int) -> None:
    is_sound = all(groups) and all(len(set(group)) == len(group) for group in groups)
    if is_sound and set(chain(*groups)) == set(range(modalities)):
        return
    raise OptionError(
        f"two groups that hold the modalities 0 to {modalities - 1}, none empty, none with a modality twice",
        found=str(groups),
        where="option 'groups'",
        next_step="leave the option out to set the first half of the modalities against the second",
    )
