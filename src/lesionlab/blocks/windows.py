"""Cut a grid of tokens into windows, and say which tokens of a window may see each other."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

WindowRule: TypeAlias = Literal["reference", "correct"]

_AXES = {2: ("yx", "ij"), 3: ("zyx", "kij")}
_WHOLE = {2: "batch (y i) (x j) channel", 3: "batch (z k) (y i) (x j) channel"}
_CUT = {2: "batch (y x) (i j) channel", 3: "batch (z y x) (k i j) channel"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How one grid is cut: built once for a grid, then shared by every block that sees it.

    Attributes:
        grid: Tokens along each axis.
        window: Tokens of one window along each axis; never more than the grid has.
        shift: By how many tokens the grid is rolled before it is cut.
        is_padded_first: Whether padding (to whole windows, at the far end of each axis) comes before rolling.
        mask: Added to the attention logits of each window, 0 or negative; None where nothing is blocked.
    """

    grid: tuple[int, ...]
    window: tuple[int, ...]
    shift: tuple[int, ...]
    is_padded_first: bool
    mask: Float[Tensor, "windows token token"] | None

    def split(self, tokens: Float[Tensor, "batch *grid channel"]) -> Float[Tensor, "batch windows token channel"]:
        """Cut tokens into windows, in row-major order of windows and within them."""
        back = tuple(-step for step in self.shift)
        tokens = _rolled(self._padded(tokens), back) if self.is_padded_first else self._padded(_rolled(tokens, back))
        rank = len(self.grid)
        return rearrange(tokens, f"{_WHOLE[rank]} -> {_CUT[rank]}", **_lengths(self.grid, self.window))

    def merge(self, cut: Float[Tensor, "batch windows token channel"]) -> Float[Tensor, "batch *grid channel"]:
        """Undo `split`."""
        rank = len(self.grid)
        tokens = rearrange(cut, f"{_CUT[rank]} -> {_WHOLE[rank]}", **_lengths(self.grid, self.window))
        if self.is_padded_first:
            return self._cropped(_rolled(tokens, self.shift))
        return _rolled(self._cropped(tokens), self.shift)

    def _padded(self, tokens: Tensor) -> Tensor:
        padding = [0, 0]
        for size, side in zip(self.grid[::-1], self.window[::-1], strict=True):
            padding += [0, -size % side]
        return F.pad(tokens, padding) if any(padding) else tokens

    def _cropped(self, tokens: Tensor) -> Tensor:
        for axis, size in enumerate(self.grid, start=1):
            tokens = tokens.narrow(axis, 0, size)
        return tokens


def cut_windows(
    grid: tuple[int, ...], *, window: int, is_shifted: bool, rule: WindowRule, device: torch.device
) -> Windows:
    """Say how a grid is cut.

    Args:
        grid: Tokens along each axis, two or three.
        window: Side of a window in tokens; an axis shorter than that has one window of its own length.
        is_shifted: Whether the grid is rolled by half a window first.
        rule: "correct": pad, roll, and block padding and tokens that only the roll made neighbours; no roll along
            an axis that one window covers. "reference": roll, pad, see the padding, and block by bands drawn on
            the unpadded grid, as SYNAPSE-Net was published.
        device: Where the mask is needed.
    """
    side = tuple(min(window, size) for size in grid)
    shift = tuple(length // 2 if is_shifted else 0 for length in side)
    if rule == "correct":
        shift = tuple(step if size > length else 0 for step, size, length in zip(shift, grid, side, strict=True))
    has_padding = any(size % length for size, length in zip(grid, side, strict=True))
    has_mask = is_shifted if rule == "reference" else any(shift) or has_padding
    mask = _mask(grid, side=side, shift=shift, rule=rule, device=device) if has_mask else None
    return Windows(grid=grid, window=side, shift=shift, is_padded_first=rule == "correct", mask=mask)


def _mask(
    grid: tuple[int, ...], *, side: tuple[int, ...], shift: tuple[int, ...], rule: WindowRule, device: torch.device
) -> Float[Tensor, "windows token token"]:
    """Block pairs of one window that carry different labels, by the number that the rule's source adds."""
    labels = _labels(grid, side=side, shift=shift, rule=rule, device=device)
    rank = len(grid)
    cut = rearrange(labels[None, ..., None], f"{_WHOLE[rank]} -> {_CUT[rank]}", **_lengths(grid, side))[0, ..., 0]
    blocked = cut[:, :, None] != cut[:, None, :]
    return torch.zeros(blocked.shape, device=device).masked_fill(blocked, -100.0 if rule == "reference" else -torch.inf)


def _labels(
    grid: tuple[int, ...], *, side: tuple[int, ...], shift: tuple[int, ...], rule: WindowRule, device: torch.device
) -> Int[Tensor, "*padded"]:
    """Number the regions of the rolled and padded grid: up to three bands along each axis, and the padding."""
    labels = torch.zeros((), dtype=torch.int64, device=device)
    is_padding = torch.zeros((), dtype=torch.bool, device=device)
    for size, length, step in zip(grid, side, shift, strict=True):
        padded = size + -size % length
        place = torch.arange(padded, device=device)
        end, source = (size, place) if rule == "reference" else (padded, (place + step) % padded)
        band = (place >= end - length).long() + (place >= end - step).long()
        labels = labels[..., None] * 3 + band
        is_padding = is_padding[..., None] | (source >= size)
    return labels.masked_fill(is_padding, 0 if rule == "reference" else -1)


def _rolled(tokens: Tensor, steps: tuple[int, ...]) -> Tensor:
    return torch.roll(tokens, steps, dims=tuple(range(1, 1 + len(steps)))) if any(steps) else tokens


def _lengths(grid: tuple[int, ...], window: tuple[int, ...]) -> dict[str, int]:
    counts, sides = _AXES[len(grid)]
    whole = [-(-size // side) for size, side in zip(grid, window, strict=True)]
    return dict(zip(counts + sides, [*whole, *window], strict=True))
