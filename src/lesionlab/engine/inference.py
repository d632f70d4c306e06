"""Probabilities of whole scans: a sliding window whose results are summed in place."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, combinations, product
from types import EllipsisType

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor

from lesionlab.core.recipe import Inference
from lesionlab.engine.memory import is_out_of_memory, out_of_memory
from lesionlab.engine.readout import EACH_REGION, Readout
from lesionlab.engine.sample import with_neighbours

logger = logging.getLogger(__name__)

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

    Memory, beside the image and one batch of windows: over volumes at the peak two and a half float32 arrays of outputs
    x voxels, of which a GPU holds about one (with flips two); over slices only the result. Where memory runs out,
    batches are halved down to one slice, then sums are kept in the main memory; results differ by rounding alone.

    Args:
        trained: In evaluation mode, on the device that shall do the work.
        image: Normalised; it may be memory-mapped, slices are read one batch at a time.
        window: Size of the windows; what is smaller is padded with the background.
        background: Value of air in each modality.
        settings: Overlap, flips and slices per batch.
        readout: What the outputs mean.
        neighbours: How many slices on either side come as further channels with each slice.

    Raises:
        PredictionError: Memory does not even suffice for one slice or window at a time.
    """
    axes, shape, device = len(window), image.shape[1:], next(trained.parameters()).device
    is_mirrored = bool(getattr(trained, "sees_mirror", False))
    air = background * (1 + 2 * neighbours) * (2 if is_mirrored else 1)
    views = partial(_predict_views, trained, window=window, settings=settings, readout=readout)
    effort = _Effort(slices=settings.batch if axes == 2 else shape[-1], is_sliced=axes == 2)
    regions, start = np.empty((0, *shape), np.float32), 0
    while start < shape[-1]:
        stop = min(start + effort.slices, shape[-1])
        try:
            part = _part(image, range(start, stop), axes=axes, neighbours=neighbours, is_mirrored=is_mirrored)
            with torch.inference_mode():
                padded, before = _pad(torch.from_numpy(part).to(device), window=window, background=air)
                outputs = views(padded, sums=effort.sums)[_place(before, part.shape[2:])]
                regions = regions if start else np.empty((readout.count(outputs), *shape), np.float32)
                for number, values in enumerate(readout.each_region(outputs)):
                    regions[number, ..., start:stop] = _volume(values.cpu().numpy())
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            effort = effort.reduced(
                error, device=device, where=f"{_times(shape)} voxels in windows of {_times(window)}"
            )
        else:
            start = stop
    return regions


def slide(
    trained: torch.nn.Module,
    image: Float[Tensor, "batch modality *space"],
    *,
    window: tuple[int, ...],
    overlap: float,
    flipped: tuple[int, ...] = (),
    sums: torch.device | None = None,
) -> Float[Tensor, "batch output *space"]:
    """Return logits of images at least as large as the window, blended with Gaussian weights.

    Args:
        trained: In evaluation mode.
        image: On its device.
        window: Size of the windows.
        overlap: Share of a window that the next one covers too.
        flipped: Axes of `image` along which the network is shown it mirrored; the logits lie as `image` does.
        sums: Where logits are added up; None is where the network gives them.
    """
    shape = image.shape[2:]
    corners = product(*(starts(size, wide, overlap=overlap) for size, wide in zip(shape, window, strict=True)))
    places = [_place(_mirrored(corner, shape, window=window, flipped=flipped), window) for corner in corners]
    windows = (_window_logits(trained, image[place], flipped=flipped, sums=sums) for place in places)
    first = next(windows)
    weights = _gaussian(window).to(first)
    total, norm = first.new_zeros(*first.shape[:2], *shape), first.new_zeros(shape)
    for place, logits in zip(places, chain([first], windows), strict=True):
        total[place] += logits * weights
        norm[place] += weights
    return total.div_(norm)


def starts(size: int, window: int, *, overlap: float) -> Iterator[int]:
    """Yield where windows begin along one axis; the first and the last lie flush with the ends."""
    assert window <= size, "pad the image to the window first"
    step = max(1, int(window * (1 - overlap)))
    count = 1 + -(-(size - window) // step)
    for position in range(count):
        yield min(position * step, size - window)


def _window_logits(
    trained: torch.nn.Module,
    image: Float[Tensor, "batch modality *space"],
    *,
    flipped: tuple[int, ...],
    sums: torch.device | None,
) -> Float[Tensor, "batch output *space"]:
    logits = torch.flip(trained(torch.flip(image, flipped)).logits.float(), flipped)
    return logits if sums is None else logits.to(sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effort:
    """How much is done at once, and where results are added up.

    Attributes:
        slices: In a batch; of a volume that goes through as a whole, all.
        is_sliced: Whether fewer slices can go through at a time.
        sums: Where logits and probabilities are added up.
    """

    slices: int
    is_sliced: bool
    sums: torch.device | None = None

    def reduced(self, error: BaseException, *, device: torch.device, where: str) -> "_Effort":
        """Return the next smaller effort after memory ran out.

        Raises:
            PredictionError: There is none.
        """
        if self.is_sliced and self.slices > 1:
            logger.warning("out of memory: going on with %d slices at a time", self.slices // 2)
            return replace(self, slices=self.slices // 2)
        if self.sums is None:
            logger.warning("out of memory: going on with sums in the main memory")
            return replace(self, sums=torch.device("cpu"))
        raise out_of_memory(error, device=device, where=where) from error


def _part(
    image: Float32[np.ndarray, "modality x y z"], slices: range, *, axes: int, neighbours: int, is_mirrored: bool
) -> Float32[np.ndarray, "batch channel *space"]:
    """Return axial slices as a batch for two axes, the whole image as a batch of one for three."""
    part = with_neighbours(image, slices, count=neighbours) if axes == 2 else np.asarray(image)[None]
    return np.ascontiguousarray(np.concatenate([part, np.flip(part, axis=2)], axis=1) if is_mirrored else part)


def _volume(region: Float32[np.ndarray, "batch *space"]) -> Float32[np.ndarray, "x y z"]:
    """Return slices one behind the other, or the one volume of a batch."""
    return rearrange(region, "z x y -> x y z") if region.ndim == 3 else region[0]


def _predict_views(
    trained: torch.nn.Module,
    image: Float[Tensor, "batch channel *space"],
    *,
    window: tuple[int, ...],
    settings: Inference,
    readout: Readout,
    sums: torch.device | None,
) -> Float[Tensor, "batch output *space"]:
    """Return the mean probabilities of all mirrored views; with flips two such arrays are held at the most."""
    look = partial(slide, trained, image, window=window, overlap=settings.overlap, sums=sums)
    views = _subsets(range(2, image.dim())) if settings.flips else [()]
    total = readout.probabilities(look(flipped=views[0]))
    for axes in views[1:]:
        total += readout.probabilities(look(flipped=axes))
    return total.div_(len(views))


def _mirrored(
    corner: Sequence[int], shape: Sequence[int], *, window: Sequence[int], flipped: Sequence[int]
) -> list[int]:
    """Return where a window of the mirrored image begins in the image itself."""
    sizes = zip(corner, shape, window, strict=True)
    return [
        side - wide - start if axis in flipped else start for axis, (start, side, wide) in enumerate(sizes, start=2)
    ]


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
    if not any(padded > size for padded, size in zip(padded_shape, shape, strict=True)):
        return batch, before
    air = batch.new_tensor(background).reshape(1, -1, *(1 for _ in shape))
    padded = air.expand(*batch.shape[:2], *padded_shape).clone()
    padded[_place(before, shape)] = batch
    return padded, before


def _times(sides: Sequence[int]) -> str:
    return " x ".join(map(str, sides))
