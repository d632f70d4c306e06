"""Position inside a window, as a learned bias."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class RelativeBias(nn.Module):
    """One learned number per head and offset between two tokens of a window; zero at the start.

    Args:
        window: Tokens of the largest window along each axis; smaller windows use the inner part of the table, larger
            ones its outermost offsets for all that lie beyond.
        heads: Attention heads.

    Source: Liu et al., Swin Transformer, doi:10.1109/ICCV48922.2021.00986.
    """

    def __init__(self, window: tuple[int, ...], heads: int) -> None:
        super().__init__()
        self.window = window
        self.table = nn.Parameter(torch.zeros(math.prod(2 * side - 1 for side in window), heads))

    def forward(self, window: tuple[int, ...]) -> Float[Tensor, "head token token"]:
        """Return what to add to the attention logits of a window with these sides."""
        return self.table[self._rows(window)].permute(2, 0, 1)

    def of_first_tokens(self, count: int) -> Float[Tensor, "head token token"]:
        """Return the bias between the first tokens of the largest window.

        MONAI gives it to windows of so few tokens, though they lie elsewhere in a smaller window.
        """
        return self.table[self._rows(self.window)[:count, :count]].permute(2, 0, 1)

    def _rows(self, window: tuple[int, ...]) -> Int[Tensor, "token token"]:
        device = self.table.device
        axes = torch.meshgrid(*(torch.arange(side, device=device) for side in window), indexing="ij")
        rows = torch.zeros((), dtype=torch.int64, device=device)
        for axis, largest in zip(axes, self.window, strict=True):
            places = axis.flatten()
            offsets = (places[:, None] - places[None, :]).clamp(1 - largest, largest - 1)
            rows = rows * (2 * largest - 1) + offsets + largest - 1
        return rows
