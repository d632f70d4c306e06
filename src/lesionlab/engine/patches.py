"""Which 3-D patch is drawn when."""

from collections.abc import Sequence

import numpy as np
import torch

from lesionlab.core.augmentation import Augmentation
from lesionlab.core.labels import Labels
from lesionlab.core.recipe import Sampling
from lesionlab.engine.lesion_index import LesionIndex, index_lesions
from lesionlab.engine.playlist import Playlist
from lesionlab.engine.sample import Sample, cut_block, random_start, to_sample
from lesionlab.engine.store import StoredCase


class PatchSampler(torch.utils.data.Dataset[Sample]):
    """The whole training as one list of patches: patch n is drawn, cut and augmented from the seed and n alone.

    A share of the patches holds a lesion voxel that was drawn at random, from all of them or from a lesion that was
    drawn first; the others lie anywhere. In one epoch every case gives the same number of patches.

    Args:
        cases: Training cases of the store.
        labels: What their label values mean.
        settings: Size of patches, how many a case gives, and the share with lesion.
        augmentation: Applied to every patch.
        seed: Of the plan.
        is_mirrored: Whether the network also sees each patch of the mirror image.
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
        regions = (labels.regions_of(np.asarray(case.label())) for case in cases)
        self._lesions = tuple(index_lesions(np.any(region, axis=0)) for region in regions)
        self.playlist = patch_playlist(len(cases), settings, seed=seed)

    def __getitem__(self, position: int) -> Sample:
        """Return patch `position` of the endless training."""
        chosen = self.playlist.at(position)
        case = self._cases[chosen]
        generator = np.random.default_rng([self._seed, 1, position])
        image, label = cut_block(
            case.image(),
            case.label(),
            start=self._start(self._lesions[chosen], generator),
            size=self._settings.size,
            background=case.background,
            is_mirrored=self._is_mirrored,
        )
        image, label = self._augmentation(image, label, generator=generator)
        return to_sample(image, label, labels=self._labels)

    def _start(self, lesions: LesionIndex, generator: np.random.Generator) -> tuple[int, ...]:
        """Return where the patch begins: around a lesion voxel, or anywhere."""
        size = self._settings.size
        anywhere = random_start(lesions.shape, size, generator=generator)
        if generator.random() >= self._settings.lesion_share:
            return anywhere
        voxel = lesions.draw(self._settings.lesion_choice, generator=generator)
        if voxel is None:
            return anywhere
        offsets = [int(generator.integers(wanted)) for wanted in size]
        return tuple(
            int(np.clip(place - offset, 0, max(0, found - wanted)))
            for place, offset, found, wanted in zip(voxel, offsets, lesions.shape, size, strict=True)
        )


def patch_playlist(cases: int, settings: Sampling, *, seed: int) -> Playlist:
    """Return in which order cases give patches."""
    odds = np.full(cases, settings.patches_per_case)
    return Playlist(odds, is_empty=np.zeros(cases, bool), empty_share=None, seed=seed)
