"""The U-Net of the ATLAS notebooks."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import PositiveInt

STRIDES = (16, 16)
"""Pixels of the input per pixel of the coarsest features."""


@network("atlas_unet")
class AtlasUNet(nn.Module):
    """A 2-D U-Net of five levels, two convolutions each.

    ==========  =======================  =============================================================================
    option      as in the notebook       other
    ==========  =======================  =============================================================================
    `norm`      none (default)           batch: batch norm between every convolution and its ReLU
    `widths`    32 to 512 (default)      64 to 1024 are those of the paper
    ==========  =======================  =============================================================================

    Differs: sides need not be multiples of 16 (the image is padded with its own edge, the logits are cropped);
    modalities may be absent; the softmax of the notebook is left to the loss.

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a pixel gets.
        norm: What lies between a convolution and its ReLU.
        widths: Channels of the five levels, finest first.

    Source: Ronneberger et al., doi:10.1007/978-3-319-24574-4_28, as in
        NargesEghbali/segmentation-of-post-stroke-lesion-area, commit d6f02bf.
    Arithmetic: 15.9 GFLOP.
    Published: ATLAS R1.1 main lesion Dice 0.108.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 2
    stride: ClassVar[int] = STRIDES[0]

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        norm: Literal["none", "batch"] = "none",
        widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (32, 64, 128, 256, 512),
    ) -> None:
        super().__init__()
        self.modalities = modalities
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.encoder = nn.ModuleList(
            _level(before, width, norm=norm) for before, width in zip((modalities, *widths), widths, strict=False)
        )
        self.ups = nn.ModuleList(nn.ConvTranspose2d(deep, width, 2, stride=2) for deep, width in steps)
        self.decoder = nn.ModuleList(_level(2 * width, width, norm=norm) for _, width in steps)
        self.head = nn.Conv2d(widths[0], regions, 1)

    def forward(
        self,
        image: Float[Tensor, "batch modality height width"],
        present: Bool[Tensor, "batch modality"] | None = None,
    ) -> Output:
        """Return logits at the image's size.

        Args:
            image: At least one side of more than 16 pixels.
            present: False for a modality that was not measured, which then counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        first, *deeper = self.encoder
        skips = [first(fit_image(image, present, modalities=self.modalities, strides=STRIDES))]
        for level in deeper:
            skips.append(level(F.max_pool2d(skips[-1], 2)))
        features = skips.pop()
        for up, merge in zip(self.ups, self.decoder, strict=True):
            features = merge(torch.cat([up(features), skips.pop()], dim=1))
        return Output(logits=cut_back(self.head(features), image.shape[2:], strides=(1, 1)))


def _level(channels_in: int, channels_out: int, *, norm: Literal["none", "batch"]) -> nn.Sequential:
    layers = nn.Sequential()
    for before in (channels_in, channels_out):
        layers.append(nn.Conv2d(before, channels_out, 3, padding=1))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(channels_out))
        layers.append(nn.ReLU(inplace=True))
    return layers
