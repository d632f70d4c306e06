"""The convolutional decoder of Swin UNETR."""

from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.instance_residual import InstanceResidual
from lesionlab.core.network import outermost


class UnetrDecoder(nn.Module):
    """Logits at full size from an image and five levels of features, by five steps that double the size.

    Args:
        modalities: Channels of the image.
        width: Channels of the finest level; each further one has twice as many.
        regions: Channels of the result.

    Source: Hatamizadeh et al., Swin UNETR, arXiv:2201.01266.
    """

    def __init__(self, modalities: int, *, width: int, regions: int) -> None:
        super().__init__()
        self.full = InstanceResidual(modalities, width)
        self.skips = nn.ModuleList(InstanceResidual(width * 2**level, width * 2**level) for level in range(3))
        self.deepest = InstanceResidual(16 * width, 16 * width)
        self.ups = nn.ModuleList(_Up(width * 2 ** (level + 1), width * 2**level) for level in (3, 2, 1, 0))
        self.ups.append(_Up(width, width))
        self.head = nn.Conv3d(width, regions, 1)

    def recomputed_blocks(self) -> Iterator[nn.Module]:
        """Yield every residual block, those of the decoder with the doubling of the size before it."""
        return outermost(self, InstanceResidual, _Up)

    def forward(
        self, image: Float[Tensor, "batch modality x y z"], levels: list[Float[Tensor, "batch _ _ _ _"]]
    ) -> Float[Tensor, "batch region x y z"]:
        """Return logits at the image's size.

        Args:
            image: Every side a multiple of 32 voxels, one of them larger than that.
            levels: What `SwinEncoder` makes of the image.
        """
        skips = [self.full(image), *(skip(level) for skip, level in zip(self.skips, levels, strict=False)), levels[3]]
        features = self.deepest(levels[4])
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            features = cast(_Up, up)(features, skip)
        logits: Tensor = self.head(features)
        return logits


class _Up(nn.Module):
    """Double the size, and join the skip connection."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(channels_in, channels_out, 2, stride=2, bias=False)
        self.join = InstanceResidual(2 * channels_out, channels_out)

    def forward(
        self, features: Float[Tensor, "batch _ _ _ _"], skip: Float[Tensor, "batch channel x y z"]
    ) -> Float[Tensor, "batch channel x y z"]:
        """Return features at the skip connection's size."""
        result: Tensor = self.join(torch.cat([self.up(features), skip], dim=1))
        return result
