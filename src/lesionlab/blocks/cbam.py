"""Attention over channels, then over places."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Cbam(nn.Module):
    """The convolutional block attention module: a gate per channel, then a gate per pixel.

    Both gates lie in (0, 1) and multiply the features.

    Args:
        channels: Channels of the input and of the result.
        reduction: How many times fewer channels the hidden layer of the channel gate has; it keeps at least one.

    Source: Woo et al., CBAM, doi:10.1007/978-3-030-01234-2_1.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.channel_gate = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))
        self.spatial_gate = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(
        self, features: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return the gated features."""
        mean = features.mean(dim=(2, 3), keepdim=True)
        highest = features.amax(dim=(2, 3), keepdim=True)
        features = features * torch.sigmoid(self.channel_gate(mean) + self.channel_gate(highest))
        profile = torch.cat([features.mean(dim=1, keepdim=True), features.amax(dim=1, keepdim=True)], dim=1)
        return features * torch.sigmoid(self.spatial_gate(profile))
