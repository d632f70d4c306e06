"""A decoder whose rows are dense and whose columns run from the deepest level upwards."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lesionlab.blocks.lesion_gate import GateKind, LesionGate
from lesionlab.blocks.residual import Residual


class CascadeDecoder(nn.Module):
    """Ten residual nodes over five levels, with gated skip connections.

    Node ``xij`` lies on level i (0 is the finest) and sees the nodes before it in its row. Its input from below is not
    the one of UNet++: the first node of each row takes a later column of the row below, and the last two nodes of
    rows 0, 1 and 2 share one. Each level's 2x2 up-sampling is shared by all nodes that use it.

    Args:
        widths: Channels of the five levels, finest first.
        dropout: Odds that a channel of a node is zeroed in training.
        gate: How the three finest skip connections are gated.
    """

    def __init__(self, widths: tuple[int, int, int, int, int], *, dropout: float, gate: GateKind) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = widths
        self.gate3 = LesionGate(c5, c3, kind=gate)
        self.gate2 = LesionGate(c4, c2, kind=gate)
        self.gate1 = LesionGate(c3, c1, kind=gate)
        self.up5, self.up4, self.up3, self.up2 = (nn.ConvTranspose2d(c, c, 2, stride=2) for c in (c5, c4, c3, c2))
        self.x31 = Residual(c4 + c5, c4, dropout=dropout)
        self.x21, self.x22 = (Residual(row * c3 + c4, c3, dropout=dropout) for row in (1, 2))
        self.x11, self.x12, self.x13 = (Residual(row * c2 + c3, c2, dropout=dropout) for row in (1, 2, 3))
        self.x01, self.x02, self.x03, self.x04 = (Residual(row * c1 + c2, c1, dropout=dropout) for row in (1, 2, 3, 4))

    def recomputed_blocks(self) -> Iterator[nn.Module]:
        """Yield nodes, gates and up-sampling, each on its own."""
        return self.children()

    def forward(
        self, center: Float[Tensor, "batch _ _ _"], skips: list[Float[Tensor, "batch _ _ _"]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the last three nodes of the finest row, last first.

        Args:
            center: The deepest features, 16 times coarser than the finest skip connection.
            skips: The skip connections of the four finer levels, finest first.
        """
        f1, f2, f3, f4 = skips
        x31 = self.x31(torch.cat([f4, self.up5(center)], dim=1))
        x21, x22 = self._row2(self.gate3(center, f3), self.up4(x31))
        x11, x12, x13 = self._row1(self.gate2(x31, f2), self.up3(x21), self.up3(x22))
        return self._row0(self.gate1(x22, f1), self.up2(x11), self.up2(x12), self.up2(x13))

    def _row2(self, skip: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        x21 = self.x21(torch.cat([skip, below], dim=1))
        return x21, self.x22(torch.cat([skip, x21, below], dim=1))

    def _row1(self, skip: Tensor, below1: Tensor, below2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x11 = self.x11(torch.cat([skip, below1], dim=1))
        x12 = self.x12(torch.cat([skip, x11, below2], dim=1))
        return x11, x12, self.x13(torch.cat([skip, x11, x12, below2], dim=1))

    def _row0(self, skip: Tensor, below1: Tensor, below2: Tensor, below3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x01 = self.x01(torch.cat([skip, below1], dim=1))
        x02 = self.x02(torch.cat([skip, x01, below2], dim=1))
        x03 = self.x03(torch.cat([skip, x01, x02, below3], dim=1))
        return self.x04(torch.cat([skip, x01, x02, x03, below3], dim=1)), x03, x02
