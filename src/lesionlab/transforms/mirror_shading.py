"""What makes one side of a head slowly brighter than the other, as the shading of a coil does."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32

_POWERS = ((1, 0, 0), (3, 0, 0), (1, 1, 0), (1, 0, 1), (1, 2, 0), (1, 0, 2), (1, 1, 1))
"""Of x, y and z: the polynomial of third degree that changes its sign when left and right are exchanged."""

_VOXELS = 20_000
"""So many tell the polynomial."""

_ROUNDS, _UNEXPLAINED = 8, 3.0
"""So often it is fitted, each time without the places that the last one misses by more than so many median errors."""


def evenly_lit(image: Float32[np.ndarray, "x y z"], head: Bool[np.ndarray, "x y z"]) -> Float32[np.ndarray, "x y z"]:
    """Divide out what makes one side slowly brighter than the other, half of it on each side.

    It is the polynomial that explains the logarithm of the ratio of mirror twins best, both as heights above air, so
    that CT hardly changes; lesions are left out as what it does not explain.

    Args:
        image: The plane between the hemispheres lies in the middle of its first axis; an image that is all head or has
            none stays as it is.
        head: The voxels that count.
    """
    if head.all() or not head.any():
        return image
    air = np.float32(np.median(image[~head]))
    above = np.maximum(image - air, 0)
    both = head & (above > 0)
    both &= both[::-1]
    middle = len(image) // 2
    x, y, z = np.nonzero(both[middle:])  # the other half says the same
    step = max(1, len(x) // _VOXELS)
    places = (x[::step] + middle, y[::step], z[::step])
    ratio = np.log(above[places]) - np.log(above[::-1][places])
    axes = [np.linspace(-1, 1, size) for size in image.shape]
    weights = _fit([axis[place] for axis, place in zip(axes, places, strict=True)], ratio)
    grid = np.meshgrid(*(axis.astype(np.float32) for axis in axes), indexing="ij", sparse=True)
    shading = _polynomial(grid, weights)
    return np.where(head & (above > 0), air + above * np.exp(-shading / 2), image).astype(np.float32)


def _fit(points: list[Float[np.ndarray, "point"]], values: Float[np.ndarray, "point"]) -> Float[np.ndarray, "term"]:
    """Return the weights of the polynomial through most of the values."""
    terms = np.stack([_polynomial(points, one) for one in np.eye(len(_POWERS))], axis=1)
    weights, fits = np.zeros(len(_POWERS)), np.ones(len(values), dtype=np.bool_)
    for _ in range(_ROUNDS if len(values) else 0):
        weights = np.linalg.lstsq(terms[fits], values[fits])[0]
        error = np.abs(values - terms @ weights)
        fits = error <= _UNEXPLAINED * np.median(error[fits])
    return weights


def _polynomial(points: Sequence[Float[np.ndarray, "..."]], weights: Float[np.ndarray, "term"]) -> np.ndarray:
    """Return its values at points given by their three coordinates, which may be those of a grid's axes."""
    x, y, z = points
    terms = zip(weights.tolist(), _POWERS, strict=True)
    return np.asarray(sum(weight * x**i * y**j * z**k for weight, (i, j, k) in terms if weight))
