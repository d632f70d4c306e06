"""A residual block of two 3-D convolutions with instance norm."""

from jaxtyping import Float
from torch import Tensor, nn


class InstanceResidual(nn.Module):
    """Two 3x3x3 convolutions with instance norm beside a shortcut; leaky ReLU between them and after the sum.

    The shortcut is the identity where the channels stay, else a 1x1x1 convolution with instance norm.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the result.

    Source: the residual block of MONAI's UNETR, arXiv:2103.10504.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv3d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm = nn.InstanceNorm3d(channels_out)
        self.activation = nn.LeakyReLU(0.01, inplace=True)
        has_shortcut = channels_in != channels_out
        self.shortcut = nn.Conv3d(channels_in, channels_out, 1, bias=False) if has_shortcut else None

    def forward(self, features: Float[Tensor, "batch _ x y z"]) -> Float[Tensor, "batch _ x y z"]:
        """Return features of the same size, of more than one voxel, with `channels_out` channels."""
        straight = self.norm(self.conv2(self.activation(self.norm(self.conv1(features)))))
        past = features if self.shortcut is None else self.norm(self.shortcut(features))
        result: Tensor = self.activation(straight + past)
        return result
