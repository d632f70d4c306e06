"""The residual U-Net, as the ATLAS notebooks have it and as its paper does."""

from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.conv_norm_relu import ConvNormRelu
from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import PositiveInt

Variant = Literal["notebook", "paper"]
WIDTHS: dict[Variant, tuple[int, ...]] = {"notebook": (16, 32, 64, 128, 256), "paper": (64, 128, 256, 512)}
"""Channels of the levels, finest first."""


@network("atlas_resunet")
class AtlasResUNet(nn.Module):
    """A 2-D U-Net of residual blocks that are halved by strides.

    ============  ===========================================  =======================================================
    part          `variant = "notebook"` (default)             `variant = "paper"`
    ============  ===========================================  =======================================================
    levels        five, 16 to 256 channels                     four, 64 to 512 channels
    block         convolution, norm, ReLU, twice; ReLU on the  norm, ReLU, convolution, twice; nothing on the sum
                  sum with the shortcut
    shortcut      1x1 convolution and norm                     1x1 convolution
    finest level  convolution, norm, ReLU                      block without the first norm and ReLU
    coarsest      block and two convolutions                   block
    ============  ===========================================  =======================================================

    Differs: sides need not be multiples of the coarsest level's stride (the image is padded with its own edge, the
    logits are cropped); modalities may be absent; the softmax of the notebook is left to the loss.

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a pixel gets.
        variant: Whose residual U-Net; see the table.
        shrink: How many times fewer channels each level has than the variant's; a divisor of the finest level's.

    Source: Zhang et al., doi:10.1109/LGRS.2018.2802944;
        NargesEghbali/segmentation-of-post-stroke-lesion-area, commit d6f02bf.
    Arithmetic: 5.1 GFLOP.
    Published: ATLAS R1.1 main lesion Dice 0.577.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 2

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        variant: Variant = "notebook",
        shrink: Literal[1, 2, 4, 8] = 1,
    ) -> None:
        super().__init__()
        widths = tuple(width // shrink for width in WIDTHS[variant])
        self.modalities, self.strides = modalities, (2 ** (len(widths) - 1),) * 2
        block = _Block if variant == "notebook" else _PreactivatedBlock
        if variant == "notebook":
            self.stem: nn.Module = ConvNormRelu(modalities, widths[0], spatial_dims=2)
            self.bridge = nn.Sequential(*(ConvNormRelu(widths[-1], widths[-1], spatial_dims=2) for _ in range(2)))
        else:
            self.stem = _PreactivatedBlock(modalities, widths[0], stride=1, is_first=True)
            self.bridge = nn.Sequential()
        self.encoder = nn.ModuleList(block(before, width, stride=2) for before, width in pairwise(widths))
        steps = pairwise(widths[::-1])
        self.decoder = nn.ModuleList(block(deep + width, width, stride=1) for deep, width in steps)
        self.head = nn.Conv2d(widths[0], regions, 1)

    def forward(
        self,
        image: Float[Tensor, "batch modality height width"],
        present: Bool[Tensor, "batch modality"] | None = None,
    ) -> Output:
        """Return logits at the image's size.

        Args:
            image: At least one side of more pixels than the coarsest level's stride: 16 (notebook) or 8 (paper).
            present: False for a modality that was not measured, which then counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        fitted = fit_image(image, present, modalities=self.modalities, strides=self.strides)
        skips = [self.stem(fitted)]
        for level in self.encoder:
            skips.append(level(skips[-1]))
        features = self.bridge(skips.pop())
        for level in self.decoder:
            enlarged = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = level(torch.cat([enlarged, skips.pop()], dim=1))
        return Output(logits=cut_back(self.head(features), image.shape[2:], strides=(1, 1)))


class _Block(nn.Module):
    """Two activated convolutions beside a projection; the sum is activated again."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            ConvNormRelu(channels_in, channels_out, spatial_dims=2, stride=stride),
            ConvNormRelu(channels_out, channels_out, spatial_dims=2),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride=stride), nn.BatchNorm2d(channels_out)
        )

    def forward(self, features: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ _ _"]:
        """Return features with `channels_out` channels, `stride` times coarser."""
        return F.relu(self.main(features) + self.shortcut(features))


class _PreactivatedBlock(nn.Module):
    """Two convolutions, each after norm and ReLU, beside a projection; `is_first` leaves out the first norm."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int, is_first: bool = False) -> None:
        super().__init__()
        self.main = nn.Sequential() if is_first else nn.Sequential(nn.BatchNorm2d(channels_in), nn.ReLU())
        self.main.append(nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1))
        self.main.extend([nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)])
        self.main.append(nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1, stride=stride)

    def forward(self, features: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ _ _"]:
        """Return features with `channels_out` channels, `stride` times coarser."""
        total: Tensor = self.main(features) + self.shortcut(features)
        return total
