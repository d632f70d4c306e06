"""Cut a grid of tokens into windows, and say which tokens of a window may see each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Float, Int, Shaped
from torch import Tensor

WindowRule: TypeAlias = Literal["reference", "monai", "correct"]

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
        rule: As in `cut_windows`.
        masks: Added to the attention logits of each kind of window, 0 or negative; None where nothing is blocked.
        members: Which windows, in row-major order, are of each kind; windows of one kind share a mask, and
            without masks all are of one kind.
    """

    grid: tuple[int, ...]
    window: tuple[int, ...]
    shift: tuple[int, ...]
    rule: WindowRule
    masks: Float[Tensor, "kind token token"] | None
    members: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> Int[Tensor, "windows token"]:
        """Where the tokens of each window, listed as in `order`, stand in the flattened grid; -1 is padding."""
        places = torch.arange(1, 1 + math.prod(self.grid)).view(1, *self.grid, 1)
        return self.split(places)[0, self.order, :, 0] - 1

    @property
    def order(self) -> list[int]:
        """The windows, listed kind by kind."""
        return list(chain(*self.members))

    @property
    def places(self) -> list[int]:
        """Where each window stands in `order`."""
        return [place for _, place in sorted(zip(self.order, range(len(self.order)), strict=True))]

    def split(self, tokens: Shaped[Tensor, "batch *grid channel"]) -> Shaped[Tensor, "batch windows token channel"]:
        """Cut tokens into windows, in row-major order of windows and within them."""
        back = tuple(-step for step in self.shift)
        tokens = _rolled(self._padded(tokens), back) if self._is_padded_first else self._padded(_rolled(tokens, back))
        rank = len(self.grid)
        return rearrange(tokens, f"{_WHOLE[rank]} -> {_CUT[rank]}", **_lengths(self.grid, self.window))

    def merge(self, cut: Float[Tensor, "batch windows token channel"]) -> Float[Tensor, "batch *grid channel"]:
        """Undo `split`."""
        rank = len(self.grid)
        tokens = rearrange(cut, f"{_CUT[rank]} -> {_WHOLE[rank]}", **_lengths(self.grid, self.window))
        if self._is_padded_first:
            return self._cropped(_rolled(tokens, self.shift))
        return _rolled(self._cropped(tokens), self.shift)

    @property
    def _is_padded_first(self) -> bool:
        """Whether padding (to whole windows, at the far end of each axis) comes before rolling."""
        return self.rule != "reference"

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
            an axis that one window covers. "monai": so too, but padding is seen. "reference": roll, pad, see the
            padding, and block by bands drawn on the unpadded grid, as SYNAPSE-Net was published.
        device: Where the masks are needed.
    """
    side = tuple(min(window, size) for size in grid)
    shift = tuple(length // 2 if is_shifted else 0 for length in side)
    if rule != "reference":
        shift = tuple(step if size > length else 0 for step, size, length in zip(shift, grid, side, strict=True))
    has_padding = any(size % length for size, length in zip(grid, side, strict=True))
    has_masks = is_shifted if rule == "reference" else any(shift) or (rule == "correct" and has_padding)
    axes = [_labels(*axis, rule=rule) for axis in zip(grid, side, shift, strict=True)]
    kinds = _kinds(axes)
    members = tuple(kinds.values()) if has_masks else (tuple(range(sum(map(len, kinds.values())))),)
    masks = _masks(list(kinds), rule=rule, device=device) if has_masks else None
    return Windows(grid=grid, window=side, shift=shift, rule=rule, masks=masks, members=members)


def _labels(size: int, length: int, step: int, *, rule: WindowRule) -> list[tuple[int, ...]]:
    """Label the tokens of each window along one axis: up to three bands, -1 for padding that differs from all bands."""
    padded = size + -size % length
    end = size if rule == "reference" else padded
    bands = [(place >= end - length) + (place >= end - step) if step else 0 for place in range(padded)]
    if rule != "monai":
        roll = 0 if rule == "reference" else step
        bands = [-1 if (place + roll) % padded >= size else band for place, band in enumerate(bands)]
    return [tuple(bands[start : start + length]) for start in range(0, padded, length)]


def _kinds(axes: list[list[tuple[int, ...]]]) -> dict[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Group windows whose labels agree along every axis."""
    kinds: dict[tuple[tuple[int, ...], ...], tuple[int, ...]] = {}
    for index, labels in enumerate(product(*axes)):
        kinds[labels] = (*kinds.get(labels, ()), index)
    return kinds


def _masks(
    kinds: Sequence[tuple[tuple[int, ...], ...]], *, rule: WindowRule, device: torch.device
) -> Float[Tensor, "kind token token"]:
    """Block pairs of one window that carry different labels."""
    hidden = 0 if rule == "reference" else -1
    together = [
        [hidden if -1 in token else sum(band * 3**axis for axis, band in enumerate(token)) for token in product(*kind)]
        for kind in kinds
    ]
    labels = torch.tensor(together, device=device)
    blocked = labels[:, :, None] != labels[:, None, :]
    # MONAI too adds -100, but exp(-100) is a number so small that processors handle it ten times slower than 0.
    return torch.zeros(blocked.shape, device=device).masked_fill(blocked, -100.0 if rule == "reference" else -torch.inf)


def _rolled(tokens: Tensor, steps: tuple[int, ...]) -> Tensor:
    return torch.roll(tokens, steps, dims=tuple(range(1, 1 + len(steps)))) if any(steps) else tokens


def _lengths(grid: tuple[int, ...], window: tuple[int, ...]) -> dict[str, int]:
    counts, sides = _AXES[len(grid)]
    whole = [-(-size // side) for size, side in zip(grid, window, strict=True)]
    return dict(zip(counts + sides, [*whole, *window], strict=True))
