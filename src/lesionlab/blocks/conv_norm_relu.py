"""Convolution, batch norm, ReLU."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

CONVOLUTIONS: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORMS: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
"""Of images with two and with three axes."""


class ConvNormRelu(nn.Module):
    """A convolution of side 3 with bias, batch norm and ReLU, in two or three dimensions.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the result.
        spatial_dims: Axes of the image.
        stride: Input voxels per output voxel along each axis.
    """

    def __init__(self, channels_in: int, channels_out: int, *, spatial_dims: Literal[2, 3], stride: int = 1) -> None:
        super().__init__()
        self.conv = CONVOLUTIONS[spatial_dims](channels_in, channels_out, 3, stride=stride, padding=1)
        self.norm = BATCH_NORMS[spatial_dims](channels_out)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Float[Tensor, "batch _ *space"]) -> Float[Tensor, "batch _ *_"]:
        """Return features with `channels_out` channels, `stride` times coarser."""
        activated: Tensor = self.activation(self.norm(self.conv(features)))
        return activated
