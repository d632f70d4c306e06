"""Which 3-D patch is drawn when."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from lesionlab.core.augmentation import Augmentation
from lesionlab.core.labels import Labels
from lesionlab.core.recipe import Sampling
from lesionlab.engine.sample import Sample, cut_block, drawn_at, random_start, to_sample
from lesionlab.engine.store import StoredCase


class PatchSampler(torch.utils.data.Dataset[Sample]):
    """The whole training as one list of patches: patch n is drawn, cut and augmented from the seed and n alone.

    A share of the patches holds a lesion voxel that was drawn at random; the others lie anywhere. In one epoch every
    case gives the same number of patches.

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
        self.playlist = np.repeat(np.arange(len(cases)), settings.patches_per_case)

    def __getitem__(self, position: int) -> Sample:
        """Return patch `position` of the endless training."""
        case = self._cases[drawn_at(position, self.playlist, seed=self._seed)]
        generator = np.random.default_rng([self._seed, 1, position])
        start = self._start(np.asarray(case.label()), generator)
        image, label = cut_block(
            case.image(),
            case.label(),
            start=start,
            size=self._settings.size,
            background=case.background,
            is_mirrored=self._is_mirrored,
        )
        image, label = self._augmentation(image, label, generator=generator)
        return to_sample(image, label, labels=self._labels)

    def _start(self, label: UInt8[np.ndarray, "x y z"], generator: np.random.Generator) -> tuple[int, ...]:
        """Return where the patch begins: around a lesion voxel, or anywhere."""
        size = self._settings.size
        anywhere = random_start(label.shape, size, generator=generator)
        if generator.random() >= self._settings.lesion_share:
            return anywhere
        lesion = np.flatnonzero(self._labels.regions_of(label).any(axis=0))
        if lesion.size == 0:
            return anywhere
        voxel = np.unravel_index(int(generator.choice(lesion)), label.shape)
        offsets = [int(generator.integers(wanted)) for wanted in size]
        return tuple(
            int(np.clip(int(place) - offset, 0, max(0, found - wanted)))
            for place, offset, found, wanted in zip(voxel, offsets, label.shape, size, strict=True)
        )
