"""Restore what was cut out of an image."""

from itertools import pairwise
from typing import ClassVar

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.core.numbers import PositiveInt
from lesionlab.core.pretext import View, pretext


@pretext("inpainting")
class Inpainting(nn.Module):
    """Mean absolute difference between the whole image and what five doublings make of its deepest features.

    Every voxel counts, not only those that were cut out.

    Args:
        modalities: Of the image.
        channels: Of the deepest features; a multiple of 16.

    Source: Ma et al., MICCAI 2024, arXiv 2407.08948; bitMyron/sa-swin, commit 5c0bc10 (its upsampler "vae").
    """

    needs_categories: ClassVar[bool] = False

    def __init__(self, *, modalities: PositiveInt, channels: PositiveInt) -> None:
        super().__init__()
        widths = [channels // divisor for divisor in (1, 2, 4, 8, 16, 16)]
        doublings = [layer for have, give in pairwise(widths) for layer in _doubling(have, give)]
        self.upsampler = nn.Sequential(*doublings, nn.Conv3d(widths[-1], modalities, 1))

    def forward(self, views: tuple[View, View], is_healthy: Bool[Tensor, "batch"] | None = None) -> Float[Tensor, ""]:  # noqa: ARG002
        """Return the mean over the voxels of both views."""
        first, second = (F.l1_loss(self.restore(view.seen).float(), view.whole.float()) for view in views)
        return (first + second) / 2

    def restore(self, seen: Float[Tensor, "batch channel i j k"]) -> Float[Tensor, "batch modality x y z"]:
        """Return the image that the features tell of, 32 times as long along each axis."""
        restored: Tensor = self.upsampler(seen)
        return restored


def _doubling(have: int, give: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv3d(have, give, 3, padding=1),
        nn.InstanceNorm3d(give),
        nn.LeakyReLU(0.01),
        nn.Upsample(scale_factor=2, mode="trilinear", align_corners=False),
    )
