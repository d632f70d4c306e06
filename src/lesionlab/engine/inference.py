"""Sliding-window inference: probabilities of whole scans, slab by slab."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor

from lesionlab.core.recipe import Inference
from lesionlab.engine.memory import is_out_of_memory, out_of_memory
from lesionlab.engine.readout import EACH_REGION, Readout
from lesionlab.engine.sample import with_neighbours
from lesionlab.engine.sliding_window import slide

logger = logging.getLogger(__name__)


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

    Memory, beside the image and a batch of windows with their logits: the result in the main memory (with flips at
    least one float32 array of outputs x voxels), and where the network is, running sums of the outputs as thick as a
    window along one axis (see `slide`). Where memory runs out, batches are halved down to one slice, then the running
    sums are kept in the main memory; results differ by rounding alone.

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
    views = partial(_predict_views, trained, window=window, background=air, settings=settings, readout=readout)
    effort = _Effort(slices=settings.batch if axes == 2 else shape[-1], is_sliced=axes == 2)
    regions, start = np.empty((0, *shape), np.float32), 0
    while start < shape[-1]:
        stop = min(start + effort.slices, shape[-1])
        try:
            part = _part(image, range(start, stop), axes=axes, neighbours=neighbours, is_mirrored=is_mirrored)
            with torch.inference_mode():
                volume = _volume(views(torch.from_numpy(part).to(device), sums=effort.sums)).numpy()
            if axes == 2:
                regions = regions if start else np.empty((len(volume), *shape), np.float32)
                regions[..., start:stop] = volume
            else:
                regions = volume
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            effort = effort.reduced(
                error, device=device, where=f"{_times(shape)} voxels in windows of {_times(window)}"
            )
        else:
            start = stop
    return regions


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


def _volume(regions: Float32[Tensor, "batch region *space"]) -> Float32[Tensor, "region x y z"]:
    """Return slices one behind the other, or the one volume of a batch."""
    return rearrange(regions, "z region x y -> region x y z") if regions.ndim == 4 else regions[0]


def _predict_views(
    trained: torch.nn.Module,
    image: Float[Tensor, "batch channel *space"],
    *,
    window: tuple[int, ...],
    background: tuple[float, ...],
    settings: Inference,
    readout: Readout,
    sums: torch.device | None,
) -> Float32[Tensor, "batch region *space"]:
    """Return the probabilities of every region, the mean of all mirrored views, in the main memory.

    Views add up in the memory that the result will have, since regions can be read only from the mean of all outputs.
    """
    look = partial(slide, trained, image, window=window, background=background, overlap=settings.overlap, sums=sums)
    views = _subsets(range(2, image.dim())) if settings.flips else [()]
    regions = torch.empty(0)
    for number, axes in enumerate(views, start=1):
        for place, logits in look(flipped=axes):
            if not len(regions):
                count = readout.count(logits)
                held = count if len(views) == 1 else max(count, logits.shape[1])
                regions = torch.empty(len(image), held, *image.shape[2:])
            _add_view(readout.probabilities(logits), regions[place], number=number, views=len(views), readout=readout)
        del logits  # it is part of the view's running sums, which else stayed while those of the next view are made
    return regions[:, :count]


def _add_view(
    outputs: Float[Tensor, "batch output *slab"],
    rows: Float32[Tensor, "batch held *slab"],
    *,
    number: int,
    views: int,
    readout: Readout,
) -> None:
    """Add a view's outputs to the sum of those before it; the last view turns sums into regions."""
    sums = rows[:, : outputs.shape[1]]
    if number > 1:
        outputs += sums.to(outputs.device)
    if number < views:
        sums.copy_(outputs)
        return
    for region, values in enumerate(readout.each_region(outputs.div_(views))):
        rows[:, region] = values


def _subsets(axes: Sequence[int]) -> list[tuple[int, ...]]:
    return [subset for count in range(len(axes) + 1) for subset in combinations(axes, count)]


def _times(sides: Sequence[int]) -> str:
    return " x ".join(map(str, sides))
