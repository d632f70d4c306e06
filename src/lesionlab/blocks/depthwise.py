"""Convolution of each channel by itself."""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class DepthwiseConv(nn.Conv2d):
    """A 2-D convolution of each channel by itself that keeps the size, on tokens with the channel last.

    Moving the channel is a change of view: the convolution then meets the channels-last layout, its fastest on a CPU.

    Args:
        channels: Channels of a token.
        kernel_size: Side of the square kernel in tokens; odd.
    """

    def __init__(self, channels: int, *, kernel_size: int) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)

    def forward(self, tokens: Float[Tensor, "batch y x channel"]) -> Float[Tensor, "batch y x channel"]:
        """Return tokens on the same grid."""
        mixed = super().forward(rearrange(tokens, "batch y x channel -> batch channel y x"))
        return rearrange(mixed, "batch channel y x -> batch y x channel")
