"""The lesions of two masks: their voxels numbered, and counted."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cc3d
import numpy as np
from jaxtyping import Int, UInt

from lesionlab.core.metric import Mask, MaskPair

Neighbours: TypeAlias = Literal[6, 26]
Numbers: TypeAlias = UInt[np.ndarray, "x y z"]
SharedNumbers: TypeAlias = UInt[np.ndarray, "_"]
VoxelCounts: TypeAlias = Int[np.ndarray, "_"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionCounts:
    """Lesions of both masks, and how many of them the other mask touches."""

    predicted: int
    predicted_touched: int
    reference: int
    reference_touched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesions:
    """The lesions of both masks, numbered from 1 within ``pair.cropped``.

    Attributes:
        predicted: Number of the lesion of each voxel; 0 outside.
        reference: Likewise.
        n_predicted: Lesions of the prediction.
        n_reference: Lesions of the reference.
    """

    predicted: Numbers
    reference: Numbers
    n_predicted: int
    n_reference: int

    def counts(self) -> LesionCounts:
        """Return how many there are, and how many of them share a voxel with the other mask."""
        predicted, reference = self.shared()
        return LesionCounts(
            predicted=self.n_predicted,
            predicted_touched=int(np.count_nonzero(np.bincount(predicted))),
            reference=self.n_reference,
            reference_touched=int(np.count_nonzero(np.bincount(reference))),
        )

    def shared(self) -> tuple[SharedNumbers, SharedNumbers]:
        """Return the numbers of both lesions, the predicted one's first, in each voxel where there are two."""
        is_shared = np.logical_and(self.predicted, self.reference)
        return self.predicted[is_shared], self.reference[is_shared]

    @property
    def predicted_voxels(self) -> VoxelCounts:
        """Voxels of each lesion of the prediction."""
        return _voxels(self.predicted, self.n_predicted)

    @property
    def reference_voxels(self) -> VoxelCounts:
        """Voxels of each lesion of the reference."""
        return _voxels(self.reference, self.n_reference)


def find_lesions(pair: MaskPair) -> Lesions:
    """Number the lesions of 26 neighbours of both masks; call it as ``pair.once(find_lesions)``."""
    return _found(pair, neighbours=26)


def count_lesions(pair: MaskPair) -> LesionCounts:
    """Count the lesions of 26 neighbours of both masks; call it as ``pair.once(count_lesions)``."""
    return pair.once(find_lesions).counts()


def count_face_lesions(pair: MaskPair) -> LesionCounts:
    """Count the lesions of 6 neighbours of both masks; call it as ``pair.once(count_face_lesions)``."""
    return _found(pair, neighbours=6).counts()


def number_components(mask: Mask, *, neighbours: Neighbours) -> tuple[Numbers, int]:
    """Number the components of a mask in C order from 1; return the numbers and how many there are.

    The numbers have 16 bits wherever cc3d knows beforehand that these suffice.
    """
    # As bytes: cc3d 4.1 takes bools for a binary image, in which it expects too few components where a size is odd.
    components, n = cc3d.connected_components(mask.view(np.uint8), connectivity=neighbours, return_N=True)
    return components, int(n)


def _voxels(numbers: Numbers, n: int) -> VoxelCounts:
    return np.bincount(numbers[numbers > 0], minlength=n + 1)[1:]


def _found(pair: MaskPair, *, neighbours: Neighbours) -> Lesions:
    (predicted, n_predicted), (reference, n_reference) = (
        number_components(mask, neighbours=neighbours) for mask in pair.cropped
    )
    return Lesions(predicted=predicted, reference=reference, n_predicted=n_predicted, n_reference=n_reference)
