"""Where the lesions of a case are, so that a patch can be laid around one of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from lesionlab.core.components import number_components


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionIndex:
    """Every lesion voxel of one case.

    Attributes:
        voxels: Their places in the flattened mask, those of one lesion together.
        starts: Where each lesion begins in `voxels`, and the end of the last one.
        shape: Of the mask.
    """

    voxels: Int[np.ndarray, "voxel"]
    starts: Int[np.ndarray, "lesions_and_one"]
    shape: tuple[int, int, int]

    def draw(self, choice: Literal["voxel", "instance"], *, generator: np.random.Generator) -> tuple[int, ...] | None:
        """Return a lesion voxel; None where there is no lesion.

        Args:
            choice: "voxel" gives every voxel the same odds, "instance" every lesion, however small.
            generator: Decides.
        """
        if not len(self.voxels):
            return None
        first, last = 0, len(self.voxels)
        if choice == "instance":
            lesion = int(generator.integers(len(self.starts) - 1))
            first, last = int(self.starts[lesion]), int(self.starts[lesion + 1])
        place = self.voxels[int(generator.integers(first, last))]
        return tuple(int(index) for index in np.unravel_index(place, self.shape))


def index_lesions(lesion: Bool[np.ndarray, "x y z"]) -> LesionIndex:
    """Find the 26-connected lesions of a mask."""
    components, _ = number_components(lesion, neighbours=26)
    voxels = np.flatnonzero(components)
    numbers = components.ravel()[voxels]
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(1, int(numbers.max(initial=0)) + 2))
    return LesionIndex(voxels=voxels[order], starts=starts, shape=(lesion.shape[0], lesion.shape[1], lesion.shape[2]))
