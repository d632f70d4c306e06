"""Where the left and the right side of a head differ more than those of healthy people do."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude

_SMOOTHING_MM = 3.0
_MISPLACED_MM = 2.0
"""How far a place of a healthy brain lies from its mirror twin's counterpart: folds and ventricles are never alike."""

_SHADING_POWERS = ((1, 0, 0), (3, 0, 0), (1, 1, 0), (1, 0, 1), (1, 2, 0), (1, 0, 2), (1, 1, 1))
"""Of x, y and z: the polynomial of third degree that changes its sign when left and right are exchanged."""

_SHADING_VOXELS = 20_000
"""So many tell the polynomial."""

_SHADING_ROUNDS, _UNEXPLAINED = 8, 3.0
"""So often it is fitted, each time without the places that the last one misses by more than so many median errors."""

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
    smooth = _smooth_within(_evenly_lit(image, head), both, sigmas)
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


def _evenly_lit(image: Float32[np.ndarray, "x y z"], head: Bool[np.ndarray, "x y z"]) -> Float32[np.ndarray, "x y z"]:
    """Divide out what makes one side slowly brighter than the other, half of it on each side.

    It is the polynomial that explains the logarithm of the ratio of mirror twins best, both as heights above air, so
    that CT hardly changes; lesions are left out as what it does not explain.
    """
    if head.all() or not head.any():
        return image
    air = np.float32(np.median(image[~head]))
    above = np.maximum(image - air, 0)
    both = head & (above > 0)
    both &= both[::-1]
    middle = len(image) // 2
    x, y, z = np.nonzero(both[middle:])  # the other half says the same
    step = max(1, len(x) // _SHADING_VOXELS)
    places = (x[::step] + middle, y[::step], z[::step])
    ratio = np.log(above[places]) - np.log(above[::-1][places])
    axes = [np.linspace(-1, 1, size) for size in image.shape]
    weights = _fit([axis[place] for axis, place in zip(axes, places, strict=True)], ratio)
    grid = np.meshgrid(*(axis.astype(np.float32) for axis in axes), indexing="ij", sparse=True)
    shading = _polynomial(grid, weights)
    return np.where(head & (above > 0), air + above * np.exp(-shading / 2), image).astype(np.float32)


def _fit(points: list[Float[np.ndarray, "point"]], values: Float[np.ndarray, "point"]) -> Float[np.ndarray, "term"]:
    """Return the weights of the polynomial through most of the values."""
    terms = np.stack([_polynomial(points, one) for one in np.eye(len(_SHADING_POWERS))], axis=1)
    weights, fits = np.zeros(len(_SHADING_POWERS)), np.ones(len(values), dtype=np.bool_)
    for _ in range(_SHADING_ROUNDS if len(values) else 0):
        weights = np.linalg.lstsq(terms[fits], values[fits])[0]
        error = np.abs(values - terms @ weights)
        fits = error <= _UNEXPLAINED * np.median(error[fits])
    return weights


def _polynomial(points: Sequence[Float[np.ndarray, "..."]], weights: Float[np.ndarray, "term"]) -> np.ndarray:
    """Return its values at points given by their three coordinates, which may be those of a grid's axes."""
    x, y, z = points
    terms = zip(weights.tolist(), _SHADING_POWERS, strict=True)
    return np.asarray(sum(weight * x**i * y**j * z**k for weight, (i, j, k) in terms if weight))


def _smooth_within(
    image: Float32[np.ndarray, "x y z"], mask: Bool[np.ndarray, "x y z"], sigmas: list[float]
) -> Float32[np.ndarray, "x y z"]:
    """Return the weighted mean of neighbours inside the mask; 0 outside."""
    weights = gaussian_filter(mask.astype(np.float32), sigmas)
    smooth = gaussian_filter(np.where(mask, image, 0).astype(np.float32), sigmas)
    return np.where(mask, smooth / np.maximum(weights, 1e-6), 0).astype(np.float32)
