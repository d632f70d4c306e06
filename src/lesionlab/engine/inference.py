"""Probabilities of whole scans from windows of them, in bounded memory."""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, product
from types import EllipsisType

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from lesionlab.core.recipe import Inference
from lesionlab.engine.readout import EACH_REGION, Readout
from lesionlab.engine.sample import with_neighbours

_SIGMA_SHARE = 0.125
"""Standard deviation of the blending weights as a share of the window, as in MONAI and nnU-Net."""


def predict_probabilities(
    trained: torch.nn.Module,
    image: Float32[np.ndarray, "modality x y z"],
    *,
    window: tuple[int, ...],
    background: tuple[float, ...],
    settings: Inference,
    readout: Readout = EACH_REGION,
    neighbours: int = 0,
) -> Float32[np.ndarray, "region x y z"]:
    """Slide a network over one prepared image: over its axial slices with two window sizes, over all of it with three.

    Logits of overlapping windows are averaged with Gaussian weights, then become probabilities. With flips, the
    probabilities of all mirrored views are averaged. A network that `sees_mirror` gets each window together with the
    same window of the image's left-right mirror image.

    Args:
        trained: In evaluation mode, on the device that shall do the work.
        image: Normalised; it may be memory-mapped, slices are read one batch at a time.
        window: Size of the windows; what is smaller is padded with the background.
        background: Value of air in each modality.
        settings: Overlap, flips and slices per batch.
        readout: What the outputs mean.
        neighbours: How many slices on either side come as further channels with each slice.
    """
    device = next(trained.parameters()).device
    is_mirrored = bool(getattr(trained, "sees_mirror", False))
    background = background * (1 + 2 * neighbours) * (2 if is_mirrored else 1)
    predicted = []
    with torch.inference_mode():
        for part in _parts(image, axes=len(window), slices=settings.batch, neighbours=neighbours):
            paired = np.concatenate([part, np.flip(part, axis=2)], axis=1) if is_mirrored else part
            batch = torch.from_numpy(np.ascontiguousarray(paired)).to(device)
            outputs = _predict_views(
                trained, batch, window=window, background=background, settings=settings, readout=readout
            )
            predicted.append(readout.regions(outputs.float()).cpu().numpy())
    together = np.concatenate(predicted)
    return np.ascontiguousarray(together[0] if len(window) == 3 else np.moveaxis(together, 0, -1))


def slide(
    trained: torch.nn.Module,
    image: Float[Tensor, "batch modality *space"],
    *,
    window: tuple[int, ...],
    overlap: float,
) -> Float[Tensor, "batch output *space"]:
    """Return logits of images at least as large as the window, blended with Gaussian weights."""
    shape = image.shape[2:]
    corners = product(*(starts(size, wide, overlap=overlap) for size, wide in zip(shape, window, strict=True)))
    places = [_place(corner, window) for corner in corners]
    first = trained(image[places[0]]).logits.float()
    weights = _gaussian(window).to(first)
    total, norm = first.new_zeros(*first.shape[:2], *shape), first.new_zeros(shape)
    others = (trained(image[place]).logits.float() for place in places[1:])
    for place, logits in zip(places, chain([first], others), strict=True):
        total[place] += logits * weights
        norm[place] += weights
    blended: Tensor = total / norm
    return blended


def starts(size: int, window: int, *, overlap: float) -> Iterator[int]:
    """Yield where windows begin along one axis; the first and the last lie flush with the ends."""
    assert window <= size, "pad the image to the window first"
    step = max(1, int(window * (1 - overlap)))
    count = 1 + -(-(size - window) // step)
    for position in range(count):
        yield min(position * step, size - window)


def _parts(
    image: Float32[np.ndarray, "modality x y z"], *, axes: int, slices: int, neighbours: int
) -> Iterator[Float32[np.ndarray, "batch modality *space"]]:
    """Yield batches of axial slices for two axes, the whole image as one batch for three."""
    if axes == 3:
        yield np.asarray(image)[None]
        return
    for start in range(0, image.shape[-1], slices):
        chosen = range(start, min(start + slices, image.shape[-1]))
        yield with_neighbours(image, chosen, count=neighbours)


def _predict_views(
    trained: torch.nn.Module,
    batch: Float[Tensor, "batch modality *space"],
    *,
    window: tuple[int, ...],
    background: tuple[float, ...],
    settings: Inference,
    readout: Readout,
) -> Float[Tensor, "batch output *space"]:
    padded, before = _pad(batch, window=window, background=background)
    views = _subsets(range(2, batch.dim())) if settings.flips else [()]
    total = torch.zeros((), device=batch.device)
    for axes in views:
        logits = slide(trained, torch.flip(padded, axes), window=window, overlap=settings.overlap)
        total = total + torch.flip(readout.probabilities(logits), axes) / len(views)
    cut: Tensor = total[_place(before, batch.shape[2:])]
    return cut


def _place(first: Sequence[int], size: Sequence[int]) -> tuple[EllipsisType | slice, ...]:
    """Return the index of a block in the last axes."""
    return (..., *(slice(start, start + length) for start, length in zip(first, size, strict=True)))


def _subsets(axes: Sequence[int]) -> list[tuple[int, ...]]:
    return [subset for count in range(len(axes) + 1) for subset in combinations(axes, count)]


def _gaussian(window: tuple[int, ...]) -> Float[Tensor, "*window"]:
    weights = torch.ones(())
    for size in window:
        distance = (torch.arange(size, dtype=torch.float32) - (size - 1) / 2) / (size * _SIGMA_SHARE)
        weights = weights[..., None] * torch.exp(-0.5 * distance**2)
    return weights.clamp_min(1e-3)


def _pad(
    batch: Float[Tensor, "batch modality *space"], *, window: tuple[int, ...], background: tuple[float, ...]
) -> tuple[Float[Tensor, "batch modality *padded"], tuple[int, ...]]:
    """Pad evenly to at least the window; return also how much was added before."""
    shape = batch.shape[2:]
    padded_shape = [max(size, wide) for size, wide in zip(shape, window, strict=True)]
    before = tuple((padded - size) // 2 for padded, size in zip(padded_shape, shape, strict=True))
    air = batch.new_tensor(background).reshape(1, -1, *(1 for _ in shape))
    padded = air.expand(*batch.shape[:2], *padded_shape).clone()
    padded[_place(before, shape)] = batch
    return padded, before
