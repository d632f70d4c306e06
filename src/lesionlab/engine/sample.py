"""One training sample: a block of a stored case as tensors, whatever the number of axes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, Integer

from lesionlab.core.labels import Labels


class Sample(NamedTuple):
    """What one step of training sees of one place.

    Attributes:
        image: (modality, *space), normalised.
        reference: (region, *space), 0 or 1.
        counted: (1, *space), False where the label is to be ignored.
    """

    image: torch.Tensor
    reference: torch.Tensor
    counted: torch.Tensor


def to_sample(
    image: Float32[np.ndarray, "modality *space"], label: Integer[np.ndarray, "*space"], *, labels: Labels
) -> Sample:
    """Return tensors of an image and its label map."""
    return Sample(
        torch.from_numpy(np.ascontiguousarray(image)),
        torch.from_numpy(labels.regions_of(label).astype(np.float32)),
        torch.from_numpy(~labels.ignored_of(label)[None]),
    )


def random_start(found: Sequence[int], wanted: Sequence[int], *, generator: np.random.Generator) -> tuple[int, ...]:
    """Return where a block begins in what is larger than it; 0 along axes that are not."""
    return tuple(int(generator.integers(max(0, have - want) + 1)) for have, want in zip(found, wanted, strict=True))


def with_neighbours(
    image: Float32[np.ndarray, "modality x y z"], slices: Sequence[int], *, count: int
) -> Float32[np.ndarray, "slice channel x y"]:
    """Return axial slices, each with its neighbours as further channels: from the lowest to the highest.

    Args:
        image: May be memory-mapped; only what is needed is read.
        slices: Which.
        count: Of neighbours on either side; beyond the ends of the image, its first and last slices are repeated.
    """
    wanted = np.add.outer(np.asarray(slices), np.arange(-count, count + 1)).clip(0, image.shape[-1] - 1)
    first, last = int(wanted.min()), int(wanted.max())
    read = np.asarray(image[..., first : last + 1])[..., wanted - first]
    return rearrange(read, "modality x y slice neighbour -> slice (neighbour modality) x y")


def cut_block(
    image: Float32[np.ndarray, "modality *space"],
    label: Integer[np.ndarray, "*space"],
    *,
    start: Sequence[int],
    size: Sequence[int],
    background: Sequence[float],
    is_mirrored: bool = False,
) -> tuple[Float32[np.ndarray, "channel *block"], Integer[np.ndarray, "*block"]]:
    """Read a block; along axes that are shorter than it, all is read and padded evenly with the background.

    Args:
        image: May be memory-mapped; only the block is read.
        label: On the same voxels.
        start: First voxel along each axis.
        size: Of the block.
        background: Value of air in each modality; the label is padded with 0.
        is_mirrored: Append the same block of the image's left-right mirror image as further modalities.
    """
    place = tuple(slice(first, first + wanted) for first, wanted in zip(start, size, strict=True))
    views = (image, image[:, ::-1]) if is_mirrored else (image,)
    block = np.concatenate([view[(slice(None), *place)] for view in views])
    block_label = np.asarray(label[place])
    missing = [wanted - found for wanted, found in zip(size, block_label.shape, strict=True)]
    margins = [(part // 2, part - part // 2) for part in missing]
    padded = [
        np.pad(part, margins, constant_values=value)
        for part, value in zip(block, [*background] * len(views), strict=True)
    ]
    return np.stack(padded), np.pad(block_label, margins)
