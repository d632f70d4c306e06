"""Let a deep feature map weigh a shallow one."""

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float
from torch import Tensor, nn

GateKind: TypeAlias = Literal["amplify", "multiply", "spatial"]


class LesionGate(nn.Module):
    """Multiply a skip connection by a gate computed from a deeper map.

    Args:
        deep_channels: Channels of the deep map.
        skip_channels: Channels of the skip connection.
        kind: "amplify" multiplies by 1 + gate, which lies in (1, 2) and can suppress nothing; "multiply" by the gate,
            in (0, 1), one per channel and pixel; "spatial" by one gate per pixel that all channels share.
    """

    def __init__(self, deep_channels: int, skip_channels: int, *, kind: GateKind) -> None:
        super().__init__()
        hidden = max(deep_channels // 4, 1)
        self.offset = 1.0 if kind == "amplify" else 0.0
        self.gate = nn.Sequential(
            nn.Conv2d(deep_channels, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, 1 if kind == "spatial" else skip_channels, 1),
        )

    def forward(
        self, deep: Float[Tensor, "batch _ deep_height deep_width"], skip: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return the gated skip connection; `deep` is first enlarged to its size."""
        enlarged = F.interpolate(deep, size=skip.shape[2:], mode="bilinear", align_corners=False)
        return skip * (self.offset + torch.sigmoid(self.gate(enlarged)))
