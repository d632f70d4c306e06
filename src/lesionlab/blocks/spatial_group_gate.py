"""Let groups of channels close where they do not resemble their own average."""

from typing import Literal, TypeAlias

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

Hardness: TypeAlias = Literal["soft", "hard"]


class SpatialGroupGate(nn.Module):
    """One gate per voxel and group of channels, from how much the voxel resembles the whole image's average.

    In each group, the product of a voxel's features with their mean over the image is standardised over the image,
    scaled and shifted by two learned numbers, and squeezed into (0, 1). The shift starts at 1, so that most gates
    start open. A hard gate is 1 above one half and 0 elsewhere, in training too, where its gradient is the soft one's.

    Args:
        groups: How many groups the channels are cut into; the number of channels is a multiple.
        hardness: Whether gates are any number between 0 and 1, or exactly one of the two.

    Source: our own design for the hard spatial gate that arXiv:2511.22606 announces and does not publish; the
        similarity is that of Li et al., Spatial Group-wise Enhance, arXiv:1905.09646.
    """

    def __init__(self, groups: int, *, hardness: Hardness) -> None:
        super().__init__()
        self.groups, self.hardness = groups, hardness
        self.scale = nn.Parameter(torch.ones(groups))
        self.shift = nn.Parameter(torch.ones(groups))

    def forward(
        self, features: Float[Tensor, "batch channel *space"]
    ) -> tuple[Float[Tensor, "batch channel *space"], Float[Tensor, "batch group *space"]]:
        """Return the gated features, and the gates."""
        gate = self.gate_of(features)
        channels = features.shape[1] // self.groups
        return features * gate.to(features.dtype).repeat_interleave(channels, dim=1), gate

    def gate_of(self, features: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch group *space"]:
        """Return the gates in float32, since sums over a whole image lose too much in 16 bits."""
        cut = rearrange(features.float(), "b (group channel) ... -> b group channel (...)", group=self.groups)
        # No matrix product, which autocast would compute in 16 bits.
        likeness = (cut * cut.mean(dim=3, keepdim=True)).sum(dim=2)
        centred = likeness - likeness.mean(dim=2, keepdim=True)
        spread = centred.square().mean(dim=2, keepdim=True).add(1e-12).sqrt()
        gate = torch.sigmoid(centred / spread * self.scale[:, None] + self.shift[:, None])
        gate = gate.reshape(features.shape[0], self.groups, *features.shape[2:])
        if self.hardness == "soft":
            return gate
        # The difference is exactly 0 and carries the soft gate's gradient.
        return (gate > 0.5).float() + (gate - gate.detach())
