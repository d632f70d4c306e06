"""Lesion by lesion: how large, whether the other mask touches it, and how well the two agree."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lesionlab.core.metric import MaskPair
from lesionlab.metrics.components import SharedNumbers, VoxelCounts, find_lesions


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionScores:
    """The lesions of one mask, in the order of their numbers.

    Attributes:
        volume_mm3: Volume of each.
        dice: Dice of each with all lesions of the other mask that touch it, together; 0 where none does.
    """

    volume_mm3: Float[np.ndarray, " lesion"]
    dice: Float[np.ndarray, " lesion"]


def score_lesions(pair: MaskPair) -> tuple[LesionScores, LesionScores]:
    """Return the lesions of the predicted and of the reference mask; an empty mask has none."""
    lesions = pair.once(find_lesions)
    predicted, reference = lesions.shared()
    sizes, other_sizes = lesions.predicted_voxels, lesions.reference_voxels
    voxel_mm3 = pair.voxel_ml * 1000
    return (
        _score(predicted, reference, sizes=sizes, other_sizes=other_sizes, voxel_mm3=voxel_mm3),
        _score(reference, predicted, sizes=other_sizes, other_sizes=sizes, voxel_mm3=voxel_mm3),
    )


def _score(
    own: SharedNumbers, other: SharedNumbers, *, sizes: VoxelCounts, other_sizes: VoxelCounts, voxel_mm3: float
) -> LesionScores:
    """Score each lesion by the numbers that it and the other mask's lesions have in the voxels that they share."""
    touching, shared = np.unique(np.stack([own, other]), axis=1, return_counts=True)
    overlap = np.bincount(touching[0], weights=shared, minlength=sizes.size + 1)[1:]
    touched_sizes = np.bincount(touching[0], weights=other_sizes[touching[1] - 1], minlength=sizes.size + 1)[1:]
    return LesionScores(volume_mm3=sizes * voxel_mm3, dice=2 * overlap / np.maximum(sizes + touched_sizes, 1))
