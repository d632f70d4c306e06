"""Bring the arbitrary intensities of MRI to one scale."""

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32

Foreground: TypeAlias = Literal["above_background", "above_minimum"]

_SHARE_OF_RANGE = 0.05
"""Foreground begins this far from the background towards the brightest tissue."""


def find_foreground(image: Float32[np.ndarray, "x y z"], *, rule: Foreground) -> Bool[np.ndarray, "x y z"]:
    """Tell the head or brain from the air around it.

    Args:
        image: One modality.
        rule: "above_minimum" is the published rule: every voxel brighter than the darkest one. It takes all air for
            foreground where noise or interpolation leaves a darker voxel; "above_background" measures the background
            along the volume's four upright edges and is not misled by that.

    Returns:
        The mask; empty for a constant image.
    """
    threshold = float(image.min()) + 1e-8
    if rule == "above_background":
        background = float(np.median(_corner_columns(image)))
        brightest = float(np.percentile(image[::2, ::2], 99.5))
        threshold = background + max(_SHARE_OF_RANGE * (brightest - background), 1e-8)
    foreground: Bool[np.ndarray, "x y z"] = image > threshold
    return foreground


def normalise(
    image: Float32[np.ndarray, "x y z"], foreground: Bool[np.ndarray, "x y z"], *, percentiles: tuple[float, float]
) -> Float32[np.ndarray, "x y z"]:
    """Clip to percentiles of the foreground and scale it to mean 0 and standard deviation 1.

    Voxels outside the foreground get its lowest value. An image that is constant in the foreground becomes 0, and an
    empty foreground makes the whole image 0.

    Source: the preprocessing script of SYNAPSE-Net (arXiv 2510.26961, commit e05116a).
    Differs: an empty foreground gives 0, where the script leaves the raw values.
    """
    values = image[foreground]
    if values.size == 0:
        return np.zeros_like(image)
    low, high = np.percentile(values, percentiles)
    np.clip(values, low, high, out=values)
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if deviation < 1e-8:
        return np.zeros_like(image)
    normalised = np.full_like(image, (float(values.min()) - mean) / deviation)
    normalised[foreground] = (values - mean) / deviation
    return normalised


def _corner_columns(image: Float32[np.ndarray, "x y z"]) -> Float32[np.ndarray, "voxel"]:
    """Return the voxels of the four edges that run along z: air in every slice, whatever one odd slice holds."""
    ends = [(slice(0, max(1, size // 20)), slice(-max(1, size // 20), None)) for size in image.shape[:2]]
    return np.concatenate([image[x, y].ravel() for x in ends[0] for y in ends[1]])
