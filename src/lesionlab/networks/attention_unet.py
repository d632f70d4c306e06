"""MONAI's 3-D Attention U-Net, as SG-Net was compared with it."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.core.network import Output, network, outermost
from lesionlab.core.numbers import PositiveInt

STRIDES = (16, 16, 16)
"""Voxels of the input per voxel of the coarsest features."""


@network("attention_unet")
class AttentionUNet(nn.Module):
    """A U-Net of five levels, two convolutions each, whose skip connections pass through soft spatial gates.

    Each gate weighs the voxels of a skip connection by what the features from below say of them.

    Differs: sides need not be multiples of 16 (the image is padded with its own edge, the logits are cropped);
    modalities may be absent.

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a voxel gets.
        widths: Channels of the five levels, finest first.

    Source: Oktay et al., arXiv:1804.03999; `monai.networks.nets.AttentionUnet` configured as in
        Rowzatul-2001/SGNet, commit 97d5b6e.
    Arithmetic: 83.5 GFLOP.
    Published: brain metastases, 19 patients, Dice 0.298.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 3
    stride: ClassVar[int] = STRIDES[0]

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (16, 32, 64, 128, 256),
    ) -> None:
        from monai.networks.nets.attentionunet import AttentionUnet  # here, since importing MONAI takes seconds

        super().__init__()
        self.modalities = modalities
        self.body = AttentionUnet(3, modalities, regions, channels=widths, strides=(2, 2, 2, 2))

    def recomputed_blocks(self) -> Iterator[nn.Module]:
        """Yield every group of convolutions and every gate."""
        from monai.networks.blocks.convolutions import Convolution
        from monai.networks.nets.attentionunet import AttentionBlock, ConvBlock, UpConv

        return outermost(self, AttentionBlock, ConvBlock, Convolution, UpConv)

    def forward(
        self, image: Float[Tensor, "batch modality x y z"], present: Bool[Tensor, "batch modality"] | None = None
    ) -> Output:
        """Return logits at the image's size.

        Args:
            image: At least one side of more than 16 voxels.
            present: False for a modality that was not measured, which then counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        fitted = fit_image(image, present, modalities=self.modalities, strides=STRIDES)
        return Output(logits=cut_back(self.body(fitted), image.shape[2:], strides=(1, 1, 1)))
