"""The part of a scan that holds the head, found before anything is interpolated."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from jaxtyping import Bool, Float32

from lesionlab.core.grid import TOLERANCE_MM, Box, Grid
from lesionlab.transforms.geometry import reorient

STRAY_SHARE = 0.002
"""A plane with less foreground than this holds noise, not head."""


def head_box(mask: Bool[np.ndarray, "x y z"], *, whole: tuple[int, int, int], stray_share: float = STRAY_SHARE) -> Box:
    """Return the box around a mask without stray planes; an empty one at the origin where nothing is left.

    Planes are judged along x, then y, then z, without what was dropped before. With a `stray_share` of 0 every voxel
    counts.

    Args:
        mask: Of the head, or of a part of a grid of shape `whole`.
        whole: What the share of a plane is counted of.
        stray_share: Planes with a smaller share are dropped.
    """
    fewest = [max(1.0, stray_share * whole[one] * whole[other]) for one, other in ((1, 2), (0, 2), (0, 1))]
    columns = np.add.reduce(mask, axis=2, dtype=np.int32)
    is_x = columns.sum(axis=1) >= fewest[0]
    is_y = columns[is_x].sum(axis=0) >= fewest[1]
    inside = np.asfortranarray(np.outer(is_x, is_y))
    is_z = np.array([np.count_nonzero(plane & inside) for plane in np.moveaxis(mask, 2, 0)]) >= fewest[2]
    kept = [np.flatnonzero(flags) for flags in (is_x, is_y, is_z)]
    if not all(places.size for places in kept):
        return Box.of((0, 0, 0), (0, 0, 0))
    return Box.of([places[0] for places in kept], [places[-1] + 1 for places in kept])


def coarse(array: Float32[np.ndarray, "_ _ _"], grid: Grid) -> tuple[Float32[np.ndarray, "_ _ _"], Grid]:
    """Return means of blocks of two voxels along each axis that has at least sixteen, and their grid.

    A voxel that is left over at an end is dropped.
    """
    steps = [2 if size >= 16 else 1 for size in array.shape]
    shape = [size // step for size, step in zip(array.shape, steps, strict=True)]
    for axis, (step, size) in enumerate(zip(steps, shape, strict=True)):
        if step == 2:
            first, second = (array[(slice(None),) * axis + (slice(start, 2 * size, 2),)] for start in (0, 1))
            array = (first + second) * np.float32(0.5)
    matrix = grid.matrix
    matrix[:3, 3] += matrix[:3, :3] @ ((np.array(steps) - 1) / 2)
    matrix[:3, :3] *= steps
    return array, Grid.of(shape, matrix)


def box_on(
    working: Grid, masks: Sequence[Bool[np.ndarray, "_ _ _"]], *, grid: Grid, stray_share: float = STRAY_SHARE
) -> Box:
    """Return the box of `working` that holds the head that masks on another grid show together.

    On a grid that only turns axes it is exact, on any other it may be a voxel or two too large, and more for one that
    lies aslant.
    """
    canonical = grid.canonical()
    mask = reorient(reduce(np.logical_or, masks), source=grid, target=canonical)
    box = head_box(mask, whole=canonical.shape, stray_share=stray_share)
    is_same = canonical.distance_mm(working) <= TOLERANCE_MM
    return box if is_same or min(box.shape) == 0 else working.covering(box, of=canonical)
