"""Where voxels lie in the world."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsInt

import nibabel
import numpy as np
from jaxtyping import Bool, Float

from lesionlab.core.errors import GridError

TOLERANCE_MM = 1e-3
"""Two grids are one when no corner voxel lies further apart than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A regular lattice of voxels in RAS+ world coordinates.

    Attributes:
        shape: Voxels along the three array axes.
        affine: 4x4, row-major nested tuples: voxel index -> mm, as in nibabel.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, shape: Sequence[int], affine: Float[np.ndarray, "4 4"]) -> "Grid":
        """Make a grid from an array's shape and an affine matrix."""
        rows = tuple(tuple(float(value) for value in row) for row in np.asarray(affine, dtype=np.float64))
        assert len(shape) == 3, f"a grid has three axes, not {shape}"
        return cls(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=rows)

    @property
    def matrix(self) -> Float[np.ndarray, "4 4"]:
        """The affine as a float64 array."""
        return np.array(self.affine, dtype=np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along each array axis."""
        x, y, z = np.linalg.norm(self.matrix[:3, :3], axis=0).tolist()
        return (x, y, z)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.matrix[:3, :3])))

    @property
    def corners_mm(self) -> Float[np.ndarray, "8 3"]:
        """World coordinates of the centres of the eight corner voxels."""
        last = [size - 1 for size in self.shape]
        index = np.array([[i, j, k, 1.0] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])])
        corners: Float[np.ndarray, "8 3"] = (index @ self.matrix.T)[:, :3]
        return corners

    def distance_mm(self, other: "Grid") -> float:
        """Return the furthest that a corner voxel lies from its counterpart; infinite for another shape."""
        if self.shape != other.shape:
            return float("inf")
        return float(np.linalg.norm(self.corners_mm - other.corners_mm, axis=1).max())

    def check_same(self, other: "Grid", *, mine: Path, others: Path, next_step: str) -> None:
        """Refuse another grid.

        Raises:
            GridError: The shapes differ, or a corner voxel lies further than `TOLERANCE_MM` from its counterpart.
        """
        distance_mm = self.distance_mm(other)
        if distance_mm <= TOLERANCE_MM:
            return
        found = f"shapes {self.shape} and {other.shape}"
        if self.shape == other.shape:
            found = f"one shape but voxels up to {distance_mm:.4g} mm apart"
        raise GridError("two images on one grid", found=found, where=f"{mine} and {others}", next_step=next_step)

    def to_canonical(self) -> Float[np.ndarray, "3 2"]:
        """Return nibabel's orientation array that brings this grid's axes nearest to RAS+."""
        return np.asarray(nibabel.orientations.io_orientation(self.matrix))

    def canonical(self) -> "Grid":
        """Return the same voxels with axes permuted and flipped nearest to RAS+."""
        orientation = self.to_canonical()
        matrix = self.matrix @ nibabel.orientations.inv_ornt_aff(orientation, self.shape)
        shape = [0, 0, 0]
        for axis, (target, _) in enumerate(orientation):
            shape[int(target)] = self.shape[axis]
        return Grid.of(tuple(shape), matrix)

    def cropped(self, box: "Box") -> "Grid":
        """Return the grid of the voxels inside `box`."""
        matrix = self.matrix
        matrix[:3, 3] = (matrix @ np.array([*box.start, 1.0]))[:3]
        return Grid.of(box.shape, matrix)

    def covering(self, box: "Box", *, of: "Grid") -> "Box":
        """Return the box of this grid's voxels that a box of another grid can reach by interpolation."""
        ends = [(first - 1, last) for first, last in zip(box.start, box.stop, strict=True)]
        corners = np.array(np.meshgrid(*ends)).reshape(3, -1)
        places = np.linalg.solve(self.matrix, of.matrix @ np.vstack([corners, np.ones(corners.shape[1])]))[:3]
        lowest, highest = places.min(axis=1).round(6), places.max(axis=1).round(6)
        start = np.clip(np.floor(lowest), 0, self.shape)
        stop = np.clip(np.ceil(highest) + 1, start, self.shape)
        return Box.of(start, stop)

    def respaced(self, spacing_mm: tuple[float, float, float]) -> "Grid":
        """Return a grid of another spacing that covers the same field of view, first voxels' edges aligned."""
        scale = np.array(spacing_mm) / np.array(self.spacing_mm)
        shape = np.maximum(1, np.round(np.array(self.shape) / scale)).astype(int)
        matrix = self.matrix
        matrix[:3, :3] *= scale
        matrix[:3, 3] += self.matrix[:3, :3] @ ((scale - 1) / 2)
        return Grid.of(tuple(shape.tolist()), matrix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A block of voxels: from `start` (included) to `stop` (excluded) along each axis."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @classmethod
    def of(cls, start: Iterable[SupportsInt], stop: Iterable[SupportsInt]) -> "Box":
        """Make a box from whole numbers of any type."""
        x, y, z = ((int(first), int(last)) for first, last in zip(start, stop, strict=True))
        return cls(start=(x[0], y[0], z[0]), stop=(x[1], y[1], z[1]))

    @classmethod
    def uniting(cls, boxes: Sequence["Box"]) -> "Box":
        """Return the smallest box that holds others; empty ones do not count, and all of them give an empty one."""
        counted = [box for box in boxes if min(box.shape) > 0] or [cls.of((0, 0, 0), (0, 0, 0))]
        return cls.of(np.min([box.start for box in counted], axis=0), np.max([box.stop for box in counted], axis=0))

    @classmethod
    def around(cls, mask: Bool[np.ndarray, "x y z"]) -> "Box":
        """Return the smallest box that holds every True voxel; an empty one at the origin when there is none."""
        starts, stops = [], []
        for axis in range(3):
            occupied = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
            starts.append(int(occupied[0]) if occupied.size else 0)
            stops.append(int(occupied[-1]) + 1 if occupied.size else 0)
        return cls(start=(starts[0], starts[1], starts[2]), stop=(stops[0], stops[1], stops[2]))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        x, y, z = (stop - start for start, stop in zip(self.start, self.stop, strict=True))
        return (x, y, z)

    def within(self, outer: "Box") -> "Box":
        """Return this box of a cropped grid in the voxels of the whole grid, of which `outer` was kept."""
        return Box.of(np.add(self.start, outer.start), np.add(self.stop, outer.start))

    def seen_from(self, outer: "Box") -> "Box":
        """Return this box of a whole grid in the voxels of the cropped grid that `outer` keeps of it."""
        return Box.of(np.subtract(self.start, outer.start), np.subtract(self.stop, outer.start))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into an array of three axes."""
        x, y, z = (slice(start, stop) for start, stop in zip(self.start, self.stop, strict=True))
        return (x, y, z)
