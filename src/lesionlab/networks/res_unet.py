"""MONAI's residual 3-D U-Net, as SG-Net was compared with it."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.core.network import Output, network, outermost
from lesionlab.core.numbers import PositiveInt

STRIDES = (16, 16, 16)
"""Voxels of the input per voxel of the coarsest features."""


@network("res_unet")
class ResUNet(nn.Module):
    """A strided U-Net of five levels with residual units of two convolutions, instance norm and PReLU.

    The image is halved by the first convolution already, so the finest features are half as fine as the image.

    Differs: sides need not be multiples of 16 (the image is padded with its own edge, the logits are cropped);
    modalities may be absent.

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a voxel gets.
        widths: Channels of the five levels, finest first.

    Source: `monai.networks.nets.UNet` with two residual units; configured as in Rowzatul-2001/SGNet, commit 97d5b6e.
    Arithmetic: 10.1 GFLOP.
    Published: brain metastases, 19 patients, Dice 0.338.
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
        from monai.networks.nets.unet import UNet  # here, since importing MONAI takes seconds

        super().__init__()
        self.modalities = modalities
        self.body = UNet(3, modalities, regions, channels=widths, strides=(2, 2, 2, 2), num_res_units=2)

    def recomputed_blocks(self) -> Iterator[nn.Module]:
        """Yield every convolution with its norm and activation, or residual unit."""
        from monai.networks.blocks.convolutions import Convolution, ResidualUnit

        return outermost(self, Convolution, ResidualUnit)

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
