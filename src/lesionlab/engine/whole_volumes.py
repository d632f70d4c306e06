"""Whole volumes as samples: for networks that say one thing of a case."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32

from lesionlab.core.augmentation import Augmentation
from lesionlab.core.plan import Plan
from lesionlab.engine.playlist import Playlist
from lesionlab.engine.sample import Sample
from lesionlab.engine.store import StoredCase


class VolumeSampler(torch.utils.data.Dataset[Sample]):
    """The whole training as one list of volumes: volume n is drawn and augmented from the seed and n alone.

    Each epoch shows every case once. A sample's reference has one number per category: 1 for the case's own.

    Args:
        cases: Training cases of the store; each of a category of the plan.
        plan: Names the categories, the size of volumes and the seed.
        augmentation: Applied to every volume, before its mirror image is made.
        is_mirrored: Whether the network also sees the mirror image.
    """

    def __init__(
        self, cases: Sequence[StoredCase], plan: Plan, *, augmentation: Augmentation, is_mirrored: bool
    ) -> None:
        self._cases = cases
        self._categories = plan.categories
        self._size = plan.recipe.sampling.size
        self._seed = plan.recipe.training.seed
        odds = np.ones(len(cases), dtype=np.int64)
        self.playlist = Playlist(odds, is_empty=odds == 0, empty_share=None, seed=self._seed)
        self._augmentation = augmentation
        self._is_mirrored = is_mirrored

    def __getitem__(self, position: int) -> Sample:
        """Return volume `position` of the endless training."""
        case = self._cases[self.playlist.at(position)]
        volume = centred(case.image(), size=self._size, background=case.background)
        nothing = np.zeros(volume.shape[1:], dtype=np.uint8)
        volume, _ = self._augmentation(volume, nothing, generator=np.random.default_rng([self._seed, 1, position]))
        paired = with_mirror(volume) if self._is_mirrored else volume
        wanted = np.array([name == case.category for name in self._categories], dtype=np.float32)
        return Sample(
            torch.from_numpy(np.ascontiguousarray(paired)),
            torch.from_numpy(wanted),
            torch.ones(1, dtype=torch.bool),
        )


def centred(
    image: Float32[np.ndarray, "modality x y z"], *, size: Sequence[int], background: Sequence[float]
) -> Float32[np.ndarray, "modality i j k"]:
    """Return the middle of an image in the size that was asked for; what is smaller is padded evenly with air.

    Args:
        image: May be memory-mapped; only the middle is read.
        size: Of the result.
        background: Value of air in each modality.
    """
    excess = [found - wanted for found, wanted in zip(image.shape[1:], size, strict=True)]
    middle = image[(slice(None), *(slice(max(0, more // 2), max(0, more // 2) + wanted)
                                   for more, wanted in zip(excess, size, strict=True)))]  # fmt: skip
    missing = [wanted - found for found, wanted in zip(middle.shape[1:], size, strict=True)]
    margins = [(less // 2, less - less // 2) for less in missing]
    padded = [np.pad(part, margins, constant_values=air) for part, air in zip(middle, background, strict=True)]
    return np.stack(padded)


def with_mirror(volume: Float32[np.ndarray, "modality x y z"]) -> Float32[np.ndarray, "channel x y z"]:
    """Append the left-right mirror image as further modalities; the first axis in space runs from left to right."""
    return np.concatenate([volume, volume[:, ::-1]])
