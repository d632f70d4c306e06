"""From probabilities to a mask."""

from collections.abc import Collection, Mapping

import numpy as np
from jaxtyping import Bool, Float32, Integer

from lesionlab.core.components import number_components
from lesionlab.core.labels import Labels
from lesionlab.core.postprocessing import Postprocessing


def to_masks(
    probabilities: Float32[np.ndarray, "region x y z"], settings: Postprocessing, *, voxel_volume_mm3: float
) -> Bool[np.ndarray, "region x y z"]:
    """Return one mask per region: above the threshold, without lesions smaller than the smallest allowed."""
    above = probabilities > settings.threshold
    smallest_voxels = settings.smallest_lesion_mm3 / voxel_volume_mm3
    return np.stack([remove_small_lesions(mask, smallest_voxels=smallest_voxels) for mask in above])


def remove_small_lesions(mask: Bool[np.ndarray, "x y z"], *, smallest_voxels: float) -> Bool[np.ndarray, "x y z"]:
    """Return the mask without 26-connected lesions of fewer voxels; an empty mask stays empty."""
    if smallest_voxels <= 1:
        return mask
    lesions, _ = number_components(mask, neighbours=26)
    voxels = np.bincount(lesions.ravel())
    is_kept = voxels >= smallest_voxels - 1e-6  # volumes in mm3 divide by voxel sizes that are not exact
    is_kept[0] = False
    kept: Bool[np.ndarray, "x y z"] = is_kept[lesions]
    return kept


def to_label_map(
    masks: Bool[np.ndarray, "region x y z"], regions: Mapping[str, Collection[int]]
) -> Integer[np.ndarray, "x y z"]:
    """Return stored label values of region masks; see `Labels.label_map`.

    Args:
        masks: One per region.
        regions: Region name -> its stored values, in the order of the masks.
    """
    return Labels(regions={name: frozenset(values) for name, values in regions.items()}).label_map(masks).values
