"""Which slice is drawn when, and how it becomes a training sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from lesionlab.core.augmentation import Augmentation
from lesionlab.core.labels import Labels
from lesionlab.core.recipe import Sampling
from lesionlab.engine.store import StoredCase


class Sample(NamedTuple):
    """What one step of training sees of one slice.

    Attributes:
        image: (modality, x, y), normalised.
        reference: (region, x, y), 0 or 1.
        counted: (1, x, y), False where the label is to be ignored.
    """

    image: torch.Tensor
    reference: torch.Tensor
    counted: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceIndex:
    """Every axial slice of the training cases, with its lesion area.

    Attributes:
        case: Position of the slice's case.
        z: Position of the slice in its case.
        area: Lesion voxels of any region; ignored label values do not count.
    """

    case: Int[np.ndarray, "slice"]
    z: Int[np.ndarray, "slice"]
    area: Int[np.ndarray, "slice"]


def index_slices(cases: Sequence[StoredCase], labels: Labels) -> SliceIndex:
    """List all axial slices in the order of cases and z."""
    areas = [labels.regions_of(np.asarray(case.label())).any(axis=0).sum(axis=(0, 1)) for case in cases]
    return SliceIndex(
        case=np.concatenate([np.full(len(area), position) for position, area in enumerate(areas)]),
        z=np.concatenate([np.arange(len(area)) for area in areas]),
        area=np.concatenate(areas),
    )


def difficulty_odds(area: Int[np.ndarray, "slice"], settings: Sampling) -> Int[np.ndarray, "slice"]:
    """Return how often each slice stands in the playlist of one epoch.

    Every slice once; with lesion, `factor` times; when its lesion area also lies strictly below the percentile of
    all lesion areas, `bonus` times more.

    Source: the difficulty-aware sampler of SYNAPSE-Net (arXiv 2510.26961, commit e05116a).
    """
    has_lesion = area > 0
    if not has_lesion.any():
        return np.ones_like(area)
    is_hard = has_lesion & (area < np.percentile(area[has_lesion], settings.percentile))
    odds: Int[np.ndarray, "slice"] = 1 + (settings.factor - 1) * has_lesion + settings.bonus * is_hard
    return odds


class SliceSampler(torch.utils.data.Dataset[Sample]):
    """The whole training as one list of samples: sample n is drawn, cut and augmented from the seed and n alone.

    So a resumed training sees exactly the samples that an uninterrupted one would, with any number of workers.

    Args:
        cases: Training cases of the store.
        labels: What their label values mean.
        settings: Size of samples and odds of slices.
        augmentation: Applied to every sample.
        seed: Of the plan.
    """

    def __init__(
        self,
        cases: Sequence[StoredCase],
        labels: Labels,
        *,
        settings: Sampling,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        self._cases = cases
        self._labels = labels
        self._size = settings.size
        self._augmentation = augmentation
        self._seed = seed
        self._slices = index_slices(cases, labels)
        odds = difficulty_odds(self._slices.area, settings)
        self.playlist = np.repeat(np.arange(len(odds)), odds)

    def __getitem__(self, position: int) -> Sample:
        """Return sample `position` of the endless training."""
        generator = np.random.default_rng([self._seed, 1, position])
        chosen = self._choose(position)
        case, z = self._cases[self._slices.case[chosen]], int(self._slices.z[chosen])
        image, label = np.array(case.image()[..., z]), np.array(case.label()[..., z])
        image, label = _cut(image, label, size=self._size, generator=generator)
        image, label = _pad(image, label, size=self._size, background=case.background)
        image, label = self._augmentation(image, label, generator=generator)
        return Sample(
            torch.from_numpy(np.ascontiguousarray(image)),
            torch.from_numpy(self._labels.regions_of(label).astype(np.float32)),
            torch.from_numpy(~self._labels.ignored_of(label)[None]),
        )

    def _choose(self, position: int) -> int:
        """Return the slice at `position`: each epoch is one shuffle of the playlist."""
        epoch, place = divmod(position, len(self.playlist))
        shuffled = np.random.default_rng([self._seed, 0, epoch]).permutation(self.playlist)
        return int(shuffled[place])


def _cut(
    image: Float[np.ndarray, "modality x y"],
    label: UInt8[np.ndarray, "x y"],
    *,
    size: tuple[int, int],
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, "modality i j"], UInt8[np.ndarray, "i j"]]:
    """Cut what is larger than `size` at a random place."""
    starts = [
        int(generator.integers(max(0, found - wanted) + 1)) for found, wanted in zip(label.shape, size, strict=True)
    ]
    x, y = (slice(start, start + wanted) for start, wanted in zip(starts, size, strict=True))
    return image[:, x, y], label[x, y]


def _pad(
    image: Float[np.ndarray, "modality x y"],
    label: UInt8[np.ndarray, "x y"],
    *,
    size: tuple[int, int],
    background: tuple[float, ...],
) -> tuple[Float[np.ndarray, "modality i j"], UInt8[np.ndarray, "i j"]]:
    """Pad what is smaller than `size` evenly with the background."""
    missing = [max(0, wanted - found) for wanted, found in zip(size, label.shape, strict=True)]
    margins = [(part // 2, part - part // 2) for part in missing]
    padded = [np.pad(part, margins, constant_values=value) for part, value in zip(image, background, strict=True)]
    return np.stack(padded), np.pad(label, margins)
