"""Which slice is drawn when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int

from lesionlab.core.augmentation import Augmentation
from lesionlab.core.labels import Labels
from lesionlab.core.recipe import Sampling
from lesionlab.engine.playlist import Playlist
from lesionlab.engine.sample import Sample, cut_block, random_start, to_sample, with_neighbours
from lesionlab.engine.store import StoredCase


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


def slice_playlist(slices: SliceIndex, settings: Sampling, *, seed: int) -> Playlist:
    """Return in which order slices are drawn."""
    odds = difficulty_odds(slices.area, settings)
    return Playlist(odds, is_empty=slices.area == 0, empty_share=settings.empty_share, seed=seed)


class SliceSampler(torch.utils.data.Dataset[Sample]):
    """The whole training as one list of samples: sample n is drawn, cut and augmented from the seed and n alone.

    So a resumed training sees exactly the samples that an uninterrupted one would, with any number of workers.

    Args:
        cases: Training cases of the store.
        labels: What their label values mean.
        settings: Size of samples and odds of slices.
        augmentation: Applied to every sample.
        seed: Of the plan.
        is_mirrored: Whether the network also sees each slice of the mirror image.
    """

    def __init__(
        self,
        cases: Sequence[StoredCase],
        labels: Labels,
        *,
        settings: Sampling,
        augmentation: Augmentation,
        seed: int,
        is_mirrored: bool = False,
    ) -> None:
        self._is_mirrored = is_mirrored
        self._cases = cases
        self._labels = labels
        self._settings = settings
        self._augmentation = augmentation
        self._seed = seed
        self._slices = index_slices(cases, labels)
        self.playlist = slice_playlist(self._slices, settings, seed=seed)

    def __getitem__(self, position: int) -> Sample:
        """Return sample `position` of the endless training."""
        generator = np.random.default_rng([self._seed, 1, position])
        chosen = self.playlist.at(position)
        case, z = self._cases[self._slices.case[chosen]], int(self._slices.z[chosen])
        count, size = self._settings.neighbours, self._settings.size
        image, label = with_neighbours(case.image(), [z], count=count)[0], case.label()[..., z]
        start = random_start(label.shape, size, generator=generator)
        image, label = cut_block(
            image,
            label,
            start=start,
            size=size,
            background=case.background * (1 + 2 * count),
            is_mirrored=self._is_mirrored,
        )
        image, label = self._augmentation(image, label, generator=generator)
        return to_sample(image, label, labels=self._labels)
