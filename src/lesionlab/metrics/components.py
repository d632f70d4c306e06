"""The lesions of two masks: their voxels numbered, and counted."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Int, UInt

from lesionlab.core.components import Neighbours, number_components
from lesionlab.core.metric import Mask, MaskPair
from lesionlab.metrics.slabs import slabs

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
    (predicted, n_predicted), (reference, n_reference) = (
        number_components(mask, neighbours=26) for mask in pair.cropped
    )
    return Lesions(predicted=predicted, reference=reference, n_predicted=n_predicted, n_reference=n_reference)


def count_lesions(pair: MaskPair) -> LesionCounts:
    """Count the lesions of 26 neighbours of both masks; call it as ``pair.once(count_lesions)``."""
    return _counted(pair, neighbours=26)


def count_face_lesions(pair: MaskPair) -> LesionCounts:
    """Count the lesions of 6 neighbours of both masks; call it as ``pair.once(count_face_lesions)``."""
    return _counted(pair, neighbours=6)


def _voxels(numbers: Numbers, n: int) -> VoxelCounts:
    return np.bincount(numbers[numbers > 0], minlength=n + 1)[1:]


def _counted(pair: MaskPair, *, neighbours: Neighbours) -> LesionCounts:
    """Number one mask after the other and keep neither: the numbers take more memory than all else in a score."""
    predicted, reference = pair.cropped
    n_predicted, predicted_touched = _count(predicted, reference, neighbours=neighbours)
    n_reference, reference_touched = _count(reference, predicted, neighbours=neighbours)
    return LesionCounts(
        predicted=n_predicted,
        predicted_touched=predicted_touched,
        reference=n_reference,
        reference_touched=reference_touched,
    )


def _count(mask: Mask, other: Mask, *, neighbours: Neighbours) -> tuple[int, int]:
    """Return how many components there are, and how many of them the other mask touches."""
    numbers, n = number_components(mask, neighbours=neighbours)
    is_touched = np.zeros(n + 1, dtype=np.bool_)
    for slab in slabs(mask):  # an index takes eight bytes a voxel
        is_touched[numbers[slab][mask[slab] & other[slab]]] = True
    return n, int(np.count_nonzero(is_touched))
