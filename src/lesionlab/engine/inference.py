"""Probabilities of whole scans from windows of them, in bounded memory."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from lesionlab.core.recipe import Inference

_SIGMA_SHARE = 0.125
"""Standard deviation of the blending weights as a share of the window, as in MONAI and nnU-Net."""


def predict_probabilities(
    trained: torch.nn.Module,
    image: Float32[np.ndarray, "modality x y z"],
    *,
    window: tuple[int, int],
    background: tuple[float, ...],
    settings: Inference,
) -> Float32[np.ndarray, "region x y z"]:
    """Slide a 2-D network over the axial slices of one prepared image.

    Logits of overlapping windows are averaged with Gaussian weights, then become probabilities. With flips, the
    probabilities of the four mirrored views are averaged.

    Args:
        trained: In evaluation mode, on the device that shall do the work.
        image: Normalised; it may be memory-mapped, slices are read one batch at a time.
        window: Size of the windows; slices that are smaller are padded with the background.
        background: Value of air in each modality.
        settings: Overlap, flips and slices per batch.
    """
    device = next(trained.parameters()).device
    batches = []
    with torch.inference_mode():
        for start in range(0, image.shape[-1], settings.batch):
            slices = np.moveaxis(np.asarray(image[..., start : start + settings.batch]), -1, 0)
            batch = torch.from_numpy(np.ascontiguousarray(slices)).to(device)
            probabilities = _predict_views(trained, batch, window=window, background=background, settings=settings)
            batches.append(probabilities.float().cpu().numpy())
    return np.ascontiguousarray(np.moveaxis(np.concatenate(batches), 0, -1))


def _predict_views(
    trained: torch.nn.Module,
    batch: Float[Tensor, "batch modality x y"],
    *,
    window: tuple[int, int],
    background: tuple[float, ...],
    settings: Inference,
) -> Float[Tensor, "batch region x y"]:
    padded, margins = _pad(batch, window=window, background=background)
    views = [(), (-2,), (-1,), (-2, -1)] if settings.flips else [()]
    probabilities = [
        torch.flip(
            torch.sigmoid(slide(trained, torch.flip(padded, axes), window=window, overlap=settings.overlap)), axes
        )
        for axes in views
    ]
    x, y = (slice(margin, margin + size) for margin, size in zip(margins, batch.shape[-2:], strict=True))
    averaged: Tensor = torch.stack(probabilities).mean(dim=0)
    cut: Tensor = averaged[..., x, y]
    return cut


def slide(
    trained: torch.nn.Module,
    image: Float[Tensor, "batch modality x y"],
    *,
    window: tuple[int, int],
    overlap: float,
) -> Float[Tensor, "batch region x y"]:
    """Return logits of slices at least as large as the window, blended with Gaussian weights."""
    sizes = zip(image.shape[-2:], window, strict=True)
    corners = list(product(*(starts(size, wide, overlap=overlap) for size, wide in sizes)))
    places = [(..., slice(x, x + window[0]), slice(y, y + window[1])) for x, y in corners]
    pieces = [trained(image[place]).logits.float() for place in places]
    weights = _gaussian(window).to(image.device)
    total = pieces[0].new_zeros(*pieces[0].shape[:2], *image.shape[-2:])
    norm = pieces[0].new_zeros(image.shape[-2:])
    for place, logits in zip(places, pieces, strict=True):
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


def _gaussian(window: tuple[int, int]) -> Float[Tensor, "x y"]:
    axes = []
    for size in window:
        distance = (torch.arange(size, dtype=torch.float32) - (size - 1) / 2) / (size * _SIGMA_SHARE)
        axes.append(torch.exp(-0.5 * distance**2))
    weights = axes[0][:, None] * axes[1][None, :]
    return weights.clamp_min(1e-3)


def _pad(
    batch: Float[Tensor, "batch modality x y"], *, window: tuple[int, int], background: tuple[float, ...]
) -> tuple[Float[Tensor, "batch modality i j"], tuple[int, int]]:
    """Pad evenly to at least the window; return also how much was added before."""
    missing = [max(0, wide - size) for size, wide in zip(batch.shape[-2:], window, strict=True)]
    before = (missing[0] // 2, missing[1] // 2)
    shape = (*batch.shape[:2], batch.shape[-2] + missing[0], batch.shape[-1] + missing[1])
    padded = batch.new_tensor(background)[None, :, None, None].expand(shape).clone()
    padded[..., before[0] : before[0] + batch.shape[-2], before[1] : before[1] + batch.shape[-1]] = batch
    return padded, before
