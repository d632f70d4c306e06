"""Interpolation on a grid whose axes run as those of the array, one axis after the other."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped

_ON_A_VOXEL = 1e-6
"""Places this near to a voxel are on it, so that what need not be interpolated is moved bit by bit."""


def interpolate_along_axes(
    array: Shaped[np.ndarray, "x y z"],
    places: Sequence[Float[np.ndarray, "_"]],
    *,
    order: int,
    beyond: float,
) -> Shaped[np.ndarray, "i j k"]:
    """Look up an array at every combination of places along its three axes.

    Only the part between the outermost places is touched. The border value continues one voxel outwards.

    Args:
        array: Floating-point for order 1.
        places: For each axis, in voxels, rising or falling.
        order: 0 takes the nearest voxel, 1 interpolates linearly.
        beyond: What lies more than one voxel outside.

    Returns:
        As looked up, in Fortran order.
    """
    kept, is_beyond = [], []
    for axis, asked in enumerate(places):
        is_beyond.append((asked < -1) | (asked > array.shape[axis]))
        nearest = np.rint(asked)
        exact = np.where(np.abs(asked - nearest) < _ON_A_VOXEL, nearest, asked)
        within = np.clip(exact, 0, array.shape[axis] - 1)
        start, stop = int(within.min()), int(np.ceil(within.max())) + 1
        array = array[(slice(None),) * axis + (slice(start, stop),)]
        kept.append(within - start)
    turned = np.ascontiguousarray(array.T)  # files are in Fortran order; NumPy is quick in C order
    growth = [len(kept[axis]) / array.shape[axis] for axis in range(3)]
    for axis in sorted(range(3), key=growth.__getitem__):
        turned = _along(turned, 2 - axis, places=kept[axis], order=order)
    found = turned.T
    for axis in range(3):
        found[(slice(None),) * axis + (is_beyond[axis],)] = beyond
    return found


def _along(
    array: Shaped[np.ndarray, "z y x"], axis: int, *, places: Float[np.ndarray, "place"], order: int
) -> Shaped[np.ndarray, "k j i"]:
    if order == 0:
        moved: Shaped[np.ndarray, "k j i"] = np.take(array, np.floor(places + 0.5).astype(np.intp), axis=axis)
        return moved
    lower = np.floor(places).astype(np.intp)
    weights = (places - lower).astype(array.dtype)
    found: Shaped[np.ndarray, "k j i"] = np.take(array, lower, axis=axis)
    if weights.any():
        further = np.take(array, np.minimum(lower + 1, array.shape[axis] - 1), axis=axis)
        further -= found
        further *= weights.reshape([-1 if one == axis else 1 for one in range(3)])
        found += further
    return found
