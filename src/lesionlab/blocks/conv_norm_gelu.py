"""Convolution, batch norm, GELU."""

from jaxtyping import Float
from torch import Tensor, nn


class ConvNormGelu(nn.Module):
    """A 2-D convolution that keeps the size, batch norm, and the exact GELU.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the result.
        kernel_size: Side of the square kernel in pixels; odd.
    """

    def __init__(self, channels_in: int, channels_out: int, *, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.activation = nn.GELU()

    def forward(self, features: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ height width"]:
        """Return features of the same size with `channels_out` channels."""
        activated: Tensor = self.activation(self.norm(self.conv(features)))
        return activated
