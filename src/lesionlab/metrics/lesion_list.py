"""Lesion by lesion: how large, whether the other mask touches it, and how well the two agree."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt32

from lesionlab.core.metric import MaskPair
from lesionlab.metrics.lesion import find_lesions


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
    voxel_mm3 = pair.voxel_ml * 1000
    return (
        _score(lesions.predicted, lesions.reference, voxel_mm3=voxel_mm3),
        _score(lesions.reference, lesions.predicted, voxel_mm3=voxel_mm3),
    )


def _score(own: UInt32[np.ndarray, "x y z"], other: UInt32[np.ndarray, "x y z"], *, voxel_mm3: float) -> LesionScores:
    sizes, other_sizes = np.bincount(own.ravel()), np.bincount(other.ravel())
    is_shared = (own > 0) & (other > 0)
    touching, shared = np.unique(np.stack([own[is_shared], other[is_shared]]), axis=1, return_counts=True)
    overlap = np.bincount(touching[0], weights=shared, minlength=sizes.size)
    touched_sizes = np.bincount(touching[0], weights=other_sizes[touching[1]], minlength=sizes.size)
    dice = 2 * overlap / np.maximum(sizes + touched_sizes, 1)
    return LesionScores(volume_mm3=sizes[1:] * voxel_mm3, dice=dice[1:])
