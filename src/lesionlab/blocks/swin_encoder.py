"""The 3-D Swin transformer as an encoder of five levels."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.instance_residual import InstanceResidual
from lesionlab.blocks.swin import SwinBlock
from lesionlab.blocks.windows import WindowRule, cut_windows
from lesionlab.core.network import outermost

Merge: TypeAlias = Literal["legacy", "fixed", "v2"]
Patch: TypeAlias = Literal[2, 4]

STRIDE = 32
"""Voxels of the image along each axis per token of the deepest level, for patches of 2x2x2 voxels."""

_OCTANTS: dict[Merge, tuple[str, ...]] = {
    "legacy": ("000", "100", "010", "001", "101", "010", "001", "111"),
    "fixed": ("000", "100", "010", "001", "110", "101", "011", "111"),
    "v2": ("000", "001", "010", "011", "100", "101", "110", "111"),
}
"""Which of two neighbours along x, y and z each eighth of the merged channels comes from."""


class SwinEncoder(nn.Module):
    """Embed patches of voxels, then four stages of Swin blocks that each halve the grid and double the channels.

    Args:
        modalities: Channels of the image.
        width: Channels of the first level.
        depths: Swin blocks of the four stages; every second one works on shifted windows.
        heads: Attention heads of the four stages.
        window: Side of an attention window, in tokens.
        mlp_ratio: How many times more channels a perceptron's hidden layer has.
        drop_path: Odds that a branch of the last block is left out in training; earlier blocks have less, down to 0.
        merge: In which order eight tokens are joined: "legacy" takes two of them twice and two never.
        windows: As in `cut_windows`.
        patch: Side of an embedded patch in voxels; the five levels are half as fine with 4.
        has_residual_blocks: Whether a residual block of convolutions stands before each stage, as in Swin UNETR v2 (He
            et al. 2023, doi:10.1007/978-3-031-43901-8_40).

    Source: Hatamizadeh et al., Swin UNETR, arXiv:2201.01266.
    """

    def __init__(
        self,
        modalities: int,
        *,
        width: int,
        depths: tuple[int, int, int, int],
        heads: tuple[int, int, int, int],
        window: int,
        mlp_ratio: float,
        drop_path: float,
        merge: Merge,
        windows: WindowRule,
        patch: Patch = 2,
        has_residual_blocks: bool = False,
    ) -> None:
        super().__init__()
        self.embed = nn.Conv3d(modalities, width, patch, stride=patch)
        odds = torch.linspace(0, drop_path, sum(depths), device="cpu").tolist()
        starts = [sum(depths[:level]) for level in range(5)]
        self.stages = nn.ModuleList(
            _Stage(
                width * 2**level,
                heads=heads[level],
                window=window,
                mlp_ratio=mlp_ratio,
                drop_path=odds[start:stop],
                merge=merge,
                windows=windows,
            )
            for level, (start, stop) in enumerate(pairwise(starts))
        )

        sizes = [width * 2**level for level in range(4)] if has_residual_blocks else []
        self.residuals = nn.ModuleList(InstanceResidual(size, size) for size in sizes)

    def recomputed_blocks(self) -> Iterator[nn.Module]:
        """Yield every Swin block, merging of tokens and residual block."""
        return outermost(self, InstanceResidual, SwinBlock, _Merging)

    def forward(self, image: Float[Tensor, "batch modality x y z"]) -> list[Float[Tensor, "batch _ _ _ _"]]:
        """Return the features of the five levels, finest first, each normalised over its channels.

        The first has one token per patch and `width` channels; each further one half the size and twice the channels.
        """
        tokens = rearrange(self.embed(image), "batch channel x y z -> batch x y z channel")
        levels = [tokens]
        for level, stage in enumerate(self.stages):
            levels.append(stage(self._before_stage(levels[-1], level)))
        normalised = [F.layer_norm(level, level.shape[-1:]) for level in levels]
        return [rearrange(level, "batch x y z channel -> batch channel x y z") for level in normalised]

    def _before_stage(self, tokens: Float[Tensor, "batch x y z channel"], level: int) -> Float[Tensor, "batch _ _ _ _"]:
        """Return the tokens after the residual block of their level, where there is one."""
        if not self.residuals:
            return tokens
        features = self.residuals[level](rearrange(tokens, "batch x y z channel -> batch channel x y z"))
        passed: Tensor = rearrange(features, "batch channel x y z -> batch x y z channel")
        return passed


class _Stage(nn.Module):
    """Swin blocks on plain and shifted windows in turns, then merging."""

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        window: int,
        mlp_ratio: float,
        drop_path: list[float],
        merge: Merge,
        windows: WindowRule,
    ) -> None:
        super().__init__()
        self.window: int = window
        self.rule: WindowRule = windows
        sides = (window,) * 3
        self.blocks = nn.ModuleList(
            SwinBlock(channels, heads=heads, window=sides, mlp_ratio=mlp_ratio, drop_path=odds, position="learned")
            for odds in drop_path
        )
        self.merge = _Merging(channels, merge=merge)

    def forward(self, tokens: Float[Tensor, "batch x y z channel"]) -> Float[Tensor, "batch _ _ _ _"]:
        """Return half as many tokens along each axis, with twice the channels."""
        grid = tuple(tokens.shape[1:4])
        cuts = [
            cut_windows(grid, window=self.window, is_shifted=is_shifted, rule=self.rule, device=tokens.device)
            for is_shifted in (False, True)
        ]
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, cuts[index % 2])
        merged: Tensor = self.merge(tokens)
        return merged


class _Merging(nn.Module):
    """Join the channels of 2x2x2 tokens, normalise them, and keep a quarter as many linear combinations."""

    def __init__(self, channels: int, *, merge: Merge) -> None:
        super().__init__()
        self.octants = [tuple(map(int, octant)) for octant in _OCTANTS[merge]]
        self.norm = nn.LayerNorm(8 * channels)
        self.reduction = nn.Linear(8 * channels, 2 * channels, bias=False)

    def forward(self, tokens: Float[Tensor, "batch x y z channel"]) -> Float[Tensor, "batch _ _ _ _"]:
        """Return half as many tokens along each axis; odd grids are padded with zeros."""
        x, y, z = tokens.shape[1:4]
        padded = F.pad(tokens, (0, 0, 0, z % 2, 0, y % 2, 0, x % 2))
        octants = [padded[:, i::2, j::2, k::2] for i, j, k in self.octants]
        merged: Tensor = self.reduction(self.norm(torch.cat(octants, dim=-1)))
        return merged
