"""Join the features of several modalities."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.cbam import Cbam


class ModalityFusion(nn.Module):
    """Mix the streams' features by a 1x1 convolution, attend over channels and places, activate last.

    Args:
        modalities: How many streams there are.
        channels: Channels of each stream and of the result.
    """

    def __init__(self, modalities: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(modalities * channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.attention = Cbam(channels)
        self.activation = nn.GELU()

    def forward(
        self, streams: list[Float[Tensor, "batch channel height width"]]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return one feature map from one per modality, in the modalities' order."""
        mixed = self.norm(self.mix(torch.cat(streams, dim=1)))
        fused: Tensor = self.activation(self.attention(mixed))
        return fused
