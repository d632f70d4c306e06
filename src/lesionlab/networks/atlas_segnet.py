"""SegNet, as the ATLAS notebooks have it and as its paper does."""

from itertools import pairwise
from typing import ClassVar, Literal

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.conv_norm_relu import ConvNormRelu
from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import PositiveInt

STRIDES = (32, 32)
"""Pixels of the input per pixel of the coarsest features."""

CONVOLUTIONS = {"notebook": (1, 1, 1, 1, 1), "paper": (2, 2, 3, 3, 3)}
"""In each level of the encoder, finest first; the paper's are those of VGG16."""


@network("atlas_segnet")
class AtlasSegNet(nn.Module):
    """A 2-D encoder and decoder of five levels without skip connections.

    ============  ====================================  ==============================================================
    part          `variant = "notebook"` (default)      `variant = "paper"`
    ============  ====================================  ==============================================================
    encoder       one convolution per level             the 13 convolutions of VGG16
    upsampling    every value is repeated               values go back to where they were the largest; the rest is 0
    decoder       one convolution, norm, no ReLU        as many convolutions as the encoder, each with norm and ReLU
    head          1x1 convolution after the last level  3x3 convolution in place of the last level's last one
    ============  ====================================  ==============================================================

    Differs: sides need not be multiples of 32 (the image is padded with its own edge, the logits are cropped);
    modalities may be absent; the softmax of the notebook is left to the loss.

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a pixel gets.
        variant: Whose SegNet; see the table.
        widths: Channels of the five levels, finest first.

    Source: Badrinarayanan et al., doi:10.1109/TPAMI.2016.2644615;
        NargesEghbali/segmentation-of-post-stroke-lesion-area, commit d6f02bf.
    Arithmetic: 33.4 GFLOP.
    Published: ATLAS R1.1 main lesion Dice 0.456.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 2

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        variant: Literal["notebook", "paper"] = "notebook",
        widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256, 512, 512),
    ) -> None:
        super().__init__()
        self.modalities, self.variant = modalities, variant
        befores = (modalities, *widths)
        self.encoder = nn.ModuleList(
            _activated([before, *[width] * count])
            for before, width, count in zip(befores, widths, CONVOLUTIONS[variant], strict=False)
        )
        if variant == "notebook":
            steps = pairwise((widths[4], *widths[::-1]))
            self.decoder = nn.ModuleList(_linear(deep, width) for deep, width in steps)
            self.head = nn.Conv2d(widths[0], regions, 1)
        else:
            counts = (1, *CONVOLUTIONS[variant][1:])
            afters = (widths[0], *widths[:-1])
            levels = [
                _activated([*[width] * count, after])
                for width, count, after in zip(widths, counts, afters, strict=True)
            ]
            self.decoder = nn.ModuleList(reversed(levels))
            self.head = nn.Conv2d(widths[0], regions, 3, padding=1)

    def forward(
        self,
        image: Float[Tensor, "batch modality height width"],
        present: Bool[Tensor, "batch modality"] | None = None,
    ) -> Output:
        """Return logits at the image's size.

        Args:
            image: At least one side of more than 32 pixels.
            present: False for a modality that was not measured, which then counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        features = fit_image(image, present, modalities=self.modalities, strides=STRIDES)
        places = []
        for level in self.encoder:
            features, place = F.max_pool2d(level(features), 2, return_indices=True)
            places.append(place)
        for level in self.decoder:
            features = level(self._enlarged(features, places.pop()))
        return Output(logits=cut_back(self.head(features), image.shape[2:], strides=(1, 1)))

    def _enlarged(self, features: Tensor, places: Tensor) -> Tensor:
        """Return features of twice the size."""
        if self.variant == "notebook":
            return F.interpolate(features, scale_factor=2.0, mode="nearest")
        return F.max_unpool2d(features, places, (2, 2))


def _activated(channels: list[int]) -> nn.Sequential:
    """Return one convolution with norm and ReLU from each number of channels to the next."""
    return nn.Sequential(*(ConvNormRelu(before, after, spatial_dims=2) for before, after in pairwise(channels)))


def _linear(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.BatchNorm2d(channels_out))
