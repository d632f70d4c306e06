"""A residual block of two convolutions."""

from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.conv_norm_gelu import ConvNormGelu


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; their sum is activated, then whole channels drop out.

    The shortcut is the identity where the channels stay, else a 1x1 convolution with batch norm.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the result.
        dropout: Odds that a channel of the result is zeroed in training.
    """

    def __init__(self, channels_in: int, channels_out: int, *, dropout: float) -> None:
        super().__init__()
        self.conv1 = ConvNormGelu(channels_in, channels_out, kernel_size=3)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if channels_in != channels_out:
            self.shortcut.append(nn.Conv2d(channels_in, channels_out, 1, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels_out))
        self.activation = nn.GELU()
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ height width"]:
        """Return features of the same size with `channels_out` channels."""
        straight: Tensor = self.norm2(self.conv2(self.conv1(features)))
        result: Tensor = self.dropout(self.activation(straight + self.shortcut(features)))
        return result
