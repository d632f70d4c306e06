"""Two random looks at one batch for pre-training: turned, and with parts cut out."""

import typing
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lesionlab.core.pretraining import CutOut

_LAST_START = 0.95


class Changed(typing.NamedTuple):
    """A batch as one view shows it.

    Attributes:
        image: What the network sees: the image with parts cut out, then its mirror image, which is whole.
        whole: The turned image with nothing cut out.
        turns: Quarter turns about the left-right axis, 0 to 3.
    """

    image: Float[Tensor, "batch paired_modality x y z"]
    whole: Float[Tensor, "batch modality x y z"]
    turns: Int64[Tensor, "batch"]


def change(
    pair: Float[Tensor, "batch paired_modality x y z"], *, settings: CutOut, generator: np.random.Generator
) -> Changed:
    """Draw one view of a batch.

    Image and mirror image are turned alike; only the image is cut.

    Args:
        pair: The images' modalities, then those of their mirror images; y and z have one size.
        settings: How much is cut out.
        generator: Of this step and view.

    Source: Ma et al., MICCAI 2024, arXiv 2407.08948; bitMyron/sa-swin, commit 5c0bc10.
    Differs: noise spans the range of the image it lies in, where the published one spans 0 to 1.
    """
    turns = generator.integers(4, size=len(pair))
    turned = torch.stack([part.rot90(int(count), (2, 3)) for part, count in zip(pair, turns, strict=True)])
    whole, mirrored = turned.chunk(2, dim=1)
    cut = whole.clone()
    for number in range(len(cut)):
        _put_noise(cut[number], settings=settings, generator=generator)
        donor = int(generator.integers(len(cut)))
        if donor != number:
            for box in _boxes(cut.shape[2:], settings=settings, generator=generator):
                cut[(number, slice(None), *box)] = cut[(donor, slice(None), *box)]
    return Changed(image=torch.cat([cut, mirrored], dim=1), whole=whole, turns=torch.from_numpy(turns).to(pair.device))


def _put_noise(image: Float[Tensor, "modality x y z"], *, settings: CutOut, generator: np.random.Generator) -> None:
    low, high = float(image.min()), float(image.max())
    for box in _boxes(image.shape[1:], settings=settings, generator=generator):
        place = (slice(None), *box)
        noise = generator.standard_normal(tuple(image[place].shape), dtype=np.float32)
        extent = max(float(np.ptp(noise)), 1e-6)
        image[place] = torch.from_numpy(low + (noise - noise.min()) / extent * (high - low)).to(image)


def _boxes(
    shape: Sequence[int], *, settings: CutOut, generator: np.random.Generator
) -> list[tuple[slice, slice, slice]]:
    """Draw boxes until their volumes reach a share of the patch that is itself drawn."""
    wanted, taken, boxes = generator.uniform(0, settings.share) * np.prod(shape), 0, []
    while taken < wanted:
        edges = [max(1, int(generator.uniform(*settings.edges) * size)) for size in shape]
        starts = [int(generator.uniform(0, _LAST_START) * size) for size in shape]
        stops = [min(start + edge, size) for start, edge, size in zip(starts, edges, shape, strict=True)]
        x, y, z = (slice(start, stop) for start, stop in zip(starts, stops, strict=True))
        boxes.append((x, y, z))
        taken += int(np.prod([stop - start for start, stop in zip(starts, stops, strict=True)]))
    return boxes
