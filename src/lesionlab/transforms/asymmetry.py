"""Where the left and the right side of a head differ more than those of healthy people do."""

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude, zoom

_SMOOTHING_MM = 3.0
_MISPLACED_MM = 2.0
"""How far a place of a healthy brain lies from its mirror twin's counterpart: folds and ventricles are never alike."""

_SHADING_MM = 30.0
"""Slower changes of brightness from one side to the other are the coil's."""

_SHADING_LATTICE_MM = 5.0
_SHADING_ROUNDS = 4
"""So often the shading is estimated, each time without the places that the last estimate explains least."""

_UNEXPLAINED = 3.0
"""Times the median error of the estimate."""

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
    smooth = _smooth_within(_evenly_lit(image, head, spacing_mm=spacing_mm), both, sigmas)
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


def _evenly_lit(
    image: Float32[np.ndarray, "x y z"], head: Bool[np.ndarray, "x y z"], *, spacing_mm: tuple[float, float, float]
) -> Float32[np.ndarray, "x y z"]:
    """Divide out what makes one side slowly brighter than the other, half of it on each side.

    It is the smooth logarithm of the ratio of mirror twins, both as heights above air, so that CT hardly changes.
    """
    if head.all() or not head.any():
        return image
    air = np.float32(np.median(image[~head]))
    above = np.maximum(image - air, 0)
    both = head & (above > 0)
    both &= both[::-1]
    ratio = np.zeros_like(image)
    ratio[both] = np.log(above[both] / above[::-1][both])
    shading = _slow_part(ratio, both, spacing_mm=spacing_mm)
    return np.where(head, air + above * np.exp(-shading / 2), image).astype(np.float32)


def _slow_part(
    ratio: Float32[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"], *, spacing_mm: tuple[float, float, float]
) -> Float32[np.ndarray, "x y z"]:
    """Return what changes slowly within a mask, found on a coarse lattice without the places that differ most from it.

    A lesion is such a place.
    """
    factors = [
        max(2, round(size * step / _SHADING_LATTICE_MM)) / size
        for size, step in zip(ratio.shape, spacing_mm, strict=True)
    ]
    weights = zoom(mask.astype(np.float32), factors, order=1)
    coarse = zoom(ratio, factors, order=1) / np.maximum(weights, 1e-6)
    inside = weights > 0.5
    sigmas = [_SHADING_MM / (step / factor) for step, factor in zip(spacing_mm, factors, strict=True)]
    slow, explained = np.zeros_like(coarse), inside
    for _ in range(_SHADING_ROUNDS if inside.any() else 0):
        slow = _mean_around(coarse, explained, sigmas)
        error = np.abs(coarse - slow)
        explained = inside & (error <= _UNEXPLAINED * np.median(error[explained]))
    back = [size / coarse_size for size, coarse_size in zip(ratio.shape, coarse.shape, strict=True)]
    return np.asarray(zoom(slow, back, order=1))


def _smooth_within(
    image: Float32[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"], sigmas: list[float]
) -> Float32[np.ndarray, "x y z"]:
    """Return the weighted mean of neighbours inside the mask; 0 outside."""
    return np.where(mask, _mean_around(image, mask, sigmas), 0).astype(np.float32)


def _mean_around(
    image: Float32[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"], sigmas: list[float]
) -> Float32[np.ndarray, "x y z"]:
    """Return the weighted mean of neighbours inside the mask, wherever there are any near; else about 0."""
    weights = gaussian_filter(mask.astype(np.float32), sigmas)
    smooth = gaussian_filter(np.where(mask, image, 0).astype(np.float32), sigmas)
    return np.asarray(smooth / np.maximum(weights, 1e-6))
