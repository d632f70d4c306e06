"""Bring the arbitrary intensities of MRI, the fixed ones of CT and the colours of pictures to one scale."""

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32

Foreground: TypeAlias = Literal["above_background", "above_minimum", "everything"]
Normalisation: TypeAlias = Literal["z_score", "unit_range", "picture"]

COLOURS = {"red": (0.485, 0.229), "green": (0.456, 0.224), "blue": (0.406, 0.225), "grey": (0.449, 0.226)}
"""Mean and standard deviation of the channels of ImageNet's pictures, whose brightness goes from 0 to 1."""

AIR_HU = -500.0
BONE_HU = 1500.0
"""Air on CT lies below the first, all tissue but the lungs above; only dense bone and metal lie above the second."""

_SHARE_OF_RANGE = 0.05
"""Foreground begins this far from the background towards the brightest tissue."""

_DARKER_SHARE = 0.02
"""Where more voxels than this, beside what noise makes of the edges themselves, are clearly darker than the edges of a
scan, these are not air."""

_NOISE_FLOOR = 0.08
_HIGHEST_AIR = 0.25
"""Air is darker than the first share of the brightest tissue; up to the second only if it varies as noise does."""

_NOISE_VARIATION = 0.2
"""Lowest coefficient of variation of noise in air (0.52 in a magnitude image of one coil); that of tissue is lower."""

_NOISE_OF_RANGE = 0.02
"""Largest standard deviation of air, as a share of the range, where values below zero leave no other measure."""


def find_foreground(
    image: Float32[np.ndarray, "x y z"], *, rule: Foreground, modality: str = ""
) -> Bool[np.ndarray, "x y z"]:
    """Separate the head or brain from the air around it.

    Args:
        image: One modality.
        rule: "everything" leaves nothing out, as pictures need it. "above_minimum" is the published rule: every voxel
            brighter than the darkest one. It takes all air for foreground where noise or interpolation leaves a
            darker voxel; "above_background" measures the background along the volume's four upright edges and is not
            misled by that. Where these edges are not clearly darker than the rest (small fields of view, cropped
            volumes, bright backgrounds), there is no air to leave out and everything is foreground.
        modality: Which one it is, as far as known; CT has its air at a fixed value.

    Returns:
        The mask; empty for a constant image.
    """
    return image > foreground_level(image, rule=rule, modality=modality)


def foreground_level(image: Float32[np.ndarray, "x y z"], *, rule: Foreground, modality: str = "") -> float:
    """Return the value above which there is foreground, as in `find_foreground`; minus infinity for everything."""
    if rule == "everything":
        return -np.inf
    if rule == "above_minimum":
        return float(image.min()) + 1e-8
    edges, voxels = _edges_along_z(image), _every_second_column(image)
    background, brightest = float(np.median(edges)), float(np.percentile(voxels, 99.5))
    margin = max(_SHARE_OF_RANGE * (brightest - background), 1e-8)
    darker = float(np.mean(voxels < background - margin))
    noise = float(np.mean(edges < np.median(edges, axis=1, keepdims=True) - margin))
    is_air = darker <= noise + _DARKER_SHARE and (
        _are_air(edges, brightest=brightest, modality=modality)
        or _are_air_with_offset(edges, voxels, brightest=brightest, modality=modality)
    )
    return background + margin if is_air else -np.inf


def usual_normalisation(modality: str) -> Normalisation:
    """Return how a modality of this name is commonly brought to one scale."""
    if modality in COLOURS:
        return "picture"
    return "unit_range" if modality == "ct" else "z_score"


def to_unit_range(image: Float32[np.ndarray, "x y z"], *, ends: tuple[float, float]) -> Float32[np.ndarray, "x y z"]:
    """Clip to two numbers and bring them to 0 and 1; all 0 where they are equal."""
    low, high = ends
    if high - low < 1e-8:
        return np.zeros_like(image)
    scaled: Float32[np.ndarray, "x y z"] = (np.clip(image, low, high) - np.float32(low)) / np.float32(high - low)
    return scaled


def normalise_picture(image: Float32[np.ndarray, "x y z"], *, modality: str) -> Float32[np.ndarray, "x y z"]:
    """Bring one channel of 8 bits to mean 0 and standard deviation 1 of common pictures; others count as grey."""
    mean, deviation = COLOURS.get(modality, COLOURS["grey"])
    return (image / np.float32(255) - np.float32(mean)) / np.float32(deviation)


def normalise(
    image: Float32[np.ndarray, "x y z"], foreground: Bool[np.ndarray, "x y z"], *, percentiles: tuple[float, float]
) -> Float32[np.ndarray, "x y z"]:
    """Clip to percentiles of the foreground and scale it to mean 0 and standard deviation 1.

    Voxels outside the foreground get its lowest value. An image that is constant in the foreground becomes 0, and an
    empty foreground makes the whole image 0.

    Source: the preprocessing script of SYNAPSE-Net (arXiv 2510.26961, commit e05116a).
    Differs: an empty foreground gives 0, where the script leaves the raw values.
    """
    values = image.T[foreground.T]  # files are in Fortran order; NumPy is quick in C order
    if values.size == 0:
        return np.zeros_like(image)
    low, high = np.percentile(values, percentiles)
    np.clip(values, low, high, out=values)
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if deviation < 1e-8:
        return np.zeros_like(image)
    normalised = np.full_like(image, (float(values.min()) - mean) / deviation)
    values -= mean
    values /= deviation
    normalised.T[foreground.T] = values
    return normalised


def _are_air(edges: Float32[np.ndarray, "edge voxel"], *, brightest: float, modality: str) -> bool:
    """Tell whether the edges of a scan, than which little is darker, show air and not the darkest tissue.

    Args:
        edges: Their voxels.
        brightest: Value of the brightest tissue.
        modality: Which one it is, as far as known.
    """
    level = float(np.median(edges))
    if np.mean(edges == level) >= 0.5:
        return True  # a constant, with which volumes are padded and skulls stripped
    noise = _noise(edges)
    if modality == "ct":
        has_offset = edges.min() >= 0 and brightest > BONE_HU  # stored as unsigned numbers
        return level < AIR_HU + (1024 if has_offset else 0)
    if level <= 0:
        return noise <= _NOISE_OF_RANGE * (brightest - level)
    share = level / max(brightest, 1e-8)
    return share <= _NOISE_FLOOR or (share <= _HIGHEST_AIR and noise >= _NOISE_VARIATION * level)


def _are_air_with_offset(
    edges: Float32[np.ndarray, "edge voxel"], voxels: Float32[np.ndarray, "sample"], *, brightest: float, modality: str
) -> bool:
    """Tell whether the edges show air to whose values a constant was added, so that no share of the brightest tells.

    All four then have one level with little noise, and nothing in the scan is darker than that noise makes it.
    """
    if edges.shape[1] < 2:
        return False
    levels = np.median(edges, axis=1)
    noise = 1.4826 / np.sqrt(2) * float(np.median(np.abs(np.diff(edges, axis=1))))  # of neighbours: without texture
    farthest = 1 + np.sqrt(2 * np.log(voxels.size))  # standard deviations that so many voxels stray, with one to spare
    return bool(
        modality != "ct"
        and noise <= _NOISE_OF_RANGE * (brightest - float(levels.mean()))
        and float(np.ptp(levels)) <= max(1.0, 7.5 / np.sqrt(edges.shape[1])) * noise
        and float(levels.mean() - voxels.min()) <= farthest * noise
    )


def _noise(edges: Float32[np.ndarray, "edge voxel"]) -> float:
    """Return the standard deviation along the edges, each about its own level, from the median deviation."""
    return 1.4826 * float(np.median(np.abs(edges - np.median(edges, axis=1, keepdims=True))))


def _every_second_column(image: Float32[np.ndarray, "x y z"]) -> Float32[np.ndarray, "voxel"]:
    """Return the voxels of every second row and column from both ends on: a mirror image gives the same ones."""
    ends = [
        (slice(0, size // 2, 2), slice(-1, -(size // 2) - 1, -2)) if size > 3 else (slice(None),)
        for size in image.shape[:2]
    ]
    return np.concatenate([image[x, y].ravel(order="K") for x in ends[0] for y in ends[1]])


def _edges_along_z(image: Float32[np.ndarray, "x y z"]) -> Float32[np.ndarray, "edge voxel"]:
    """Return the voxels of each of the four edges along z: air in every slice, whatever one odd slice holds."""
    ends = [(slice(0, max(1, size // 20)), slice(-max(1, size // 20), None)) for size in image.shape[:2]]
    return np.stack([image[x, y].ravel() for x in ends[0] for y in ends[1]])
