"""Where the left and the right side of a head differ more than those of healthy people do."""

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude

from lesionlab.transforms.mirror_shading import evenly_lit

_SMOOTHING_MM = 3.0
_MISPLACED_MM = 2.0
"""How far a place of a healthy brain lies from its mirror twin's counterpart: folds and ventricles are never alike."""

_RIM_MM, _RIM_VOXELS = 6.0, 4
"""Towards the surface of the head, where one side may hold brain and the other none, the map fades over the longer of
both lengths; along the shortest side of a voxel."""


def asymmetry_map(
    image: Float32[np.ndarray, "x y z"], head: Bool[np.ndarray, "x y z"], *, spacing_mm: tuple[float, float, float]
) -> Float32[np.ndarray, "x y z"]:
    """Return how much brighter each place is than its mirror twin, in units of what is usual in this head.

    Usual is the robust spread of the differences within the head, and what a shift of 2 mm makes of the local
    contrast. Before, both sides are made equally bright wherever that changes slowly, as the shading of a coil does.
    Reversing the first axis reverses the map and turns its sign.

    Args:
        image: The plane between the hemispheres lies in the middle of its first axis.
        head: The voxels that count.
        spacing_mm: Of the voxels.

    Returns:
        Positive where the place is brighter than its twin, negative where darker; 0 outside head and twin head, and
        everywhere for a constant image.
    """
    both = head & head[::-1]
    sigmas = [_SMOOTHING_MM / step for step in spacing_mm]
    smooth = _smooth_within(evenly_lit(image, head), both, sigmas)
    difference = smooth - smooth[::-1]
    spread = 1.4826 * float(np.median(np.abs(difference[both]))) if both.any() else 0.0
    if spread < 1e-12:
        return np.zeros_like(image)
    filled = np.where(both, smooth, np.float32(np.median(smooth[both])))  # air must not look like contrast
    contrast = gaussian_gradient_magnitude(filled, 1.0) / min(spacing_mm)
    contrast = gaussian_filter(np.maximum(contrast, contrast[::-1]), sigmas)
    usual = np.hypot(spread, _MISPLACED_MM * contrast)
    depth_mm = distance_transform_edt(np.pad(both, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    fading = np.clip(depth_mm / max(_RIM_MM, _RIM_VOXELS * min(spacing_mm)), 0, 1)
    return np.where(both, difference / usual * fading, 0).astype(np.float32)


def _smooth_within(
    image: Float32[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"], sigmas: list[float]
) -> Float32[np.ndarray, "x y z"]:
    """Return the weighted mean of neighbours inside the mask; 0 outside."""
    weights = gaussian_filter(mask.astype(np.float32), sigmas)
    smooth = gaussian_filter(np.where(mask, image, 0).astype(np.float32), sigmas)
    return np.where(mask, smooth / np.maximum(weights, 1e-6), 0).astype(np.float32)
