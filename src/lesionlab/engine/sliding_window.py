"""Sliding window whose blended logits leave it slab by slab."""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from types import EllipsisType
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

Place: TypeAlias = tuple[EllipsisType | slice, ...]
"""The index of a block in the last axes of an array."""

_SLABS_PER_WINDOW = 4
"""A window's rows are yielded in so many slabs, so that what is made of them takes little beside the running sums."""

_SIGMA_SHARE = 0.125
"""Standard deviation of the blending weights as a share of the window, as in MONAI and nnU-Net."""


def slide(
    trained: torch.nn.Module,
    image: Float[Tensor, "batch modality *space"],
    *,
    window: tuple[int, ...],
    background: tuple[float, ...],
    overlap: float,
    flipped: tuple[int, ...] = (),
    sums: torch.device | None = None,
) -> Iterator[tuple[Place, Float[Tensor, "batch output *slab"]]]:
    """Yield logits of images, blended with Gaussian weights, in slabs that together cover each place once.

    Windows are visited along the axis where the image is longest, counted in windows (the first of several). Only the
    rows that they can still reach are held, as many as a window covers; rows that no later window reaches are divided
    by their weights and yielded.

    Args:
        trained: In evaluation mode.
        image: On its device.
        window: Size of the windows; one that is larger than the image is padded evenly.
        background: Value of air in each modality, for padding.
        overlap: Share of a window that the next one covers too.
        flipped: Axes of `image` along which the network is shown it mirrored; the logits lie as `image` does.
        sums: Where logits are added up; None is where the network gives them.

    Yields:
        Where the slab lies in the image, and its logits; their memory is used again for the next slab.
    """
    shape = tuple(image.shape[2:])
    covered = tuple(map(min, shape, window))
    axis = min(range(len(shape)), key=lambda axis: covered[axis] / shape[axis])
    thickness = -(-covered[axis] // _SLABS_PER_WINDOW)
    grid = [tuple(starts(size, wide, overlap=overlap)) for size, wide in zip(shape, covered, strict=True)]
    inside = _place(_mirrored(_margins(covered, window), window, size=covered, flipped=flipped), covered)
    weights = _gaussian(window)[inside].to(image.device if sums is None else sums)
    # Weighted logits, then their weights, of the mirrored image from the row `first` on; the network tells how many.
    totals = weights.new_empty(0, 0, *_replaced(shape, axis, covered[axis]))
    for first, following in pairwise((*grid[axis], shape[axis])):
        for corner in product(*grid[:axis], (first,), *grid[axis + 1 :]):
            block = image[_place(_mirrored(corner, shape, size=covered, flipped=flipped), covered)]
            shown = torch.flip(_pad(block, window=window, background=background), flipped)
            totals = _add(
                totals,
                trained(shown).logits[inside].float().to(weights.device),
                weights=weights,
                corner=_replaced(corner, axis, 0),
            )
        for row in range(first, following, thickness):
            size = _replaced(shape, axis, min(thickness, following - row))
            place = _place(_mirrored(_replaced([0] * len(shape), axis, row), shape, size=size, flipped=flipped), size)
            slab = totals.narrow(2 + axis, row - first, size[axis])
            logits = slab[:, :-1].div_(slab[:, -1:])
            yield place, torch.flip(logits, flipped) if flipped else logits
        _advance(totals, following - first, axis=2 + axis)


def starts(size: int, window: int, *, overlap: float) -> Iterator[int]:
    """Yield where windows begin along one axis; the first and the last lie flush with the ends."""
    assert window <= size, "pad the image to the window first"
    step = max(1, int(window * (1 - overlap)))
    count = 1 + -(-(size - window) // step)
    for position in range(count):
        yield min(position * step, size - window)


def _add(
    totals: Float[Tensor, "before total *slab"],
    logits: Float[Tensor, "batch output *window"],
    *,
    weights: Float[Tensor, "*window"],
    corner: Sequence[int],
) -> Float[Tensor, "batch output+1 *slab"]:
    """Add the weighted logits of a window, and its weights as one more output; the first window begins the totals."""
    if not len(totals):
        totals = logits.new_zeros(len(logits), logits.shape[1] + 1, *totals.shape[2:])
    *outputs, norm = totals[_place(corner, weights.shape)].unbind(dim=1)
    for total, values in zip(outputs, logits.unbind(dim=1), strict=True):
        total.add_(values * weights)  # output by output: no weighted copy of all of them is held
    norm.add_(weights)
    return totals


def _advance(totals: Float[Tensor, "batch output *slab"], count: int, *, axis: int) -> None:
    """Drop the first rows, move the others up in their own memory, and begin as many new ones at zero."""
    kept = totals.shape[axis] - count
    for row in range(0, kept, count):  # in steps that do not overlap
        rows = min(count, kept - row)
        totals.narrow(axis, row, rows).copy_(totals.narrow(axis, row + count, rows))
    totals.narrow(axis, kept, count).zero_()


def _mirrored(corner: Sequence[int], shape: Sequence[int], *, size: Sequence[int], flipped: Sequence[int]) -> list[int]:
    """Return where a block of the mirrored image begins in the image itself, or the other way round."""
    sizes = zip(corner, shape, size, strict=True)
    return [
        side - wide - start if axis in flipped else start for axis, (start, side, wide) in enumerate(sizes, start=2)
    ]


def _replaced(numbers: Sequence[int], axis: int, number: int) -> tuple[int, ...]:
    return (*numbers[:axis], number, *numbers[axis + 1 :])


def _place(first: Sequence[int], size: Sequence[int]) -> Place:
    """Return the index of a block in the last axes."""
    return (..., *(slice(start, start + length) for start, length in zip(first, size, strict=True)))


def _gaussian(window: tuple[int, ...]) -> Float[Tensor, "*window"]:
    weights = torch.ones(())
    for size in window:
        distance = (torch.arange(size, dtype=torch.float32) - (size - 1) / 2) / (size * _SIGMA_SHARE)
        weights = weights[..., None] * torch.exp(-0.5 * distance**2)
    return weights.clamp_min(1e-3)


def _pad(
    block: Float[Tensor, "batch modality *space"], *, window: tuple[int, ...], background: tuple[float, ...]
) -> Float[Tensor, "batch modality *window"]:
    """Pad evenly to the window; a block of its size is returned as it is."""
    shape = block.shape[2:]
    if shape == window:
        return block
    air = block.new_tensor(background).reshape(1, -1, *(1 for _ in shape))
    padded = air.expand(*block.shape[:2], *window).clone()
    padded[_place(_margins(shape, window), shape)] = block
    return padded


def _margins(shape: Sequence[int], window: Sequence[int]) -> list[int]:
    """Return how much is padded before what is smaller than the window."""
    return [(wide - size) // 2 for size, wide in zip(shape, window, strict=True)]
