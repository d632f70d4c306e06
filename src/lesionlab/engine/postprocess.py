"""From probabilities to a mask."""

from collections.abc import Mapping, Sequence

import cc3d
import numpy as np
from jaxtyping import Bool, Float32, UInt8

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
    voxelwise = mask.astype(np.uint8, order="C")  # cc3d 4.1 misreads bool lines and views with negative strides
    lesions = cc3d.connected_components(voxelwise, connectivity=26)
    voxels = np.bincount(lesions.ravel())
    is_kept = voxels >= smallest_voxels - 1e-6  # volumes in mm3 divide by voxel sizes that are not exact
    is_kept[0] = False
    kept: Bool[np.ndarray, "x y z"] = is_kept[lesions]
    return kept


def to_label_map(
    masks: Bool[np.ndarray, "region x y z"], regions: Mapping[str, Sequence[int]]
) -> UInt8[np.ndarray, "x y z"]:
    """Return stored label values: regions are painted from the largest set of values to the smallest.

    A voxel gets the value that belongs to every region it lies in and to as few others as possible; for a single
    region that is its first value.
    """
    label = np.zeros(masks.shape[1:], dtype=np.uint8)
    painted: set[int] = set()
    order = sorted(range(len(regions)), key=lambda position: -len(tuple(regions.values())[position]))
    for position in order:
        values = tuple(regions.values())[position]
        inner = [set(other) for other in regions.values() if set(other) < set(values)]
        own = sorted(set(values) - set().union(*inner) - painted) or sorted(values)
        painted.add(own[0])
        label[masks[position]] = own[0]
    return label
