"""The plane between the brain's hemispheres, and the grid on which it stands upright in the middle."""

import math
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.stats import rankdata

from lesionlab.core.errors import ImageError
from lesionlab.core.grid import Grid
from lesionlab.transforms.geometry import reorient, resample
from lesionlab.transforms.normalise import find_foreground

LOWEST_CORRELATION = 0.5
"""A head shows more likeness to its mirror image than this; noise, limbs and mixed-up axes show less."""

_COARSE_MM, _FINE_MM = 8.0, 4.0
_WIDEST_DEGREES, _WIDEST_MM = 30.0, 24.0
_BLUR = 0.8
"""In voxels of the lattice: less, and exact twins in an unturned scan, which need no interpolation, differ by noise."""

_SHADING_MM = 20.0
"""Slower changes of intensity than this are the scanner's."""

_KEPT_SHARE = 0.8
"""Of the voxels, those least like their mirror twins are left out, lest a one-sided lesion tilts the plane."""

_START_STEPS = (8.0, 8.0, 8.0)
_COARSE_STEPS = (4.0, 2.0, 1.0)
_FINE_STEPS = (1.0, 0.5, 0.25, 0.12, 0.06)
_STARTS = 6

Pose: TypeAlias = tuple[float, float, float]
"""Yaw and roll in degrees, offset in mm: of the plane from the middle of the grid, square to its first axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Midplane:
    """A plane in the world, and how well a scan equals its own image in it.

    Attributes:
        normal: Unit vector that points towards the patient's right as the grid's first axis has it.
        offset_mm: Where the plane cuts the line along `normal` through the world's origin.
        correlation_before: Of the scan with its mirror image in the middle of its grid, over the head.
        correlation: Of the scan with its mirror image in this plane, over the head.
    """

    normal: tuple[float, float, float]
    offset_mm: float
    correlation_before: float
    correlation: float

    @property
    def is_sure(self) -> bool:
        """Whether the two sides are alike enough for the plane to mean anything."""
        return self.correlation >= LOWEST_CORRELATION

    def check(self, *, where: Path) -> None:
        """Refuse a plane that means nothing.

        Raises:
            ImageError: The two sides of the scan are too unlike.
        """
        if not self.is_sure:
            raise ImageError(
                "a head whose two sides are alike",
                found=f"a correlation of {self.correlation:.2f} with its own mirror image, below {LOWEST_CORRELATION}",
                where=where,
                next_step="look at the scan: is it a head, and does its header name the axes right?",
            )

    def angle_degrees(self, other: "Midplane") -> float:
        """Return the angle between two planes, 0 to 90."""
        return math.degrees(math.acos(min(1.0, abs(float(np.dot(self.normal, other.normal))))))

    def distance_mm(self, point: Float[np.ndarray, "3"]) -> float:
        """Return how far a point of the world lies from the plane; positive towards `normal`."""
        return float(np.dot(self.normal, point) - self.offset_mm)


def find_midplane(image: Float32[np.ndarray, "x y z"], grid: Grid) -> Midplane:
    """Find the plane in which a head is most like its own mirror image: two angles and an offset.

    Intensities are replaced by their ranks within the head, so that CT and every MR sequence are treated alike and a
    bright lesion counts no more than others. A search from many poses on a coarse lattice is followed by ever finer
    steps on a fine one; it treats left and right alike, so the mirrored scan gives the mirrored plane.

    Args:
        image: One modality, skull-stripped or not.
        grid: Of the image; its first axis nearest to left-right is not needed, it is found.

    Returns:
        The plane; `is_sure` is False where the image has no two sides that are alike, or is constant.

    Source: the direct search of three degrees of freedom as recommended for Ma et al., arXiv 2407.08948, whose own
        registration is not published.
    """
    canonical = grid.canonical()
    upright = reorient(image, source=grid, target=canonical)
    coarse, fine = (_sample(upright, canonical, spacing_mm=step) for step in (_COARSE_MM, _FINE_MM))
    ranked = sorted(_starts(), key=lambda pose: (coarse.difference(pose), sum(map(abs, pose))))
    found = [_descend(coarse, pose, steps=_COARSE_STEPS) for pose in ranked[:_STARTS]]
    best = _descend(fine, min(found, key=fine.difference), steps=_FINE_STEPS)
    normal, offset_mm = _to_world(best, canonical)
    return Midplane(
        normal=(float(normal[0]), float(normal[1]), float(normal[2])),
        offset_mm=offset_mm,
        correlation_before=fine.correlation((0.0, 0.0, 0.0)),
        correlation=fine.correlation(best),
    )


def straight_grid(grid: Grid, plane: Midplane, *, spacing_mm: tuple[float, float, float] | None = None) -> Grid:
    """Return a grid whose middle along the first axis is the plane, and which holds all that `grid` holds.

    It is the scan's canonical grid after the half transform: the shortest turn of its first axis onto the plane's
    normal. Arrays go there and back with `lesionlab.transforms.geometry.resample`; reversing the first axis mirrors.

    Args:
        grid: Of the scan.
        plane: As found.
        spacing_mm: Of the new grid; as in the scan when None.
    """
    canonical = grid.canonical()
    spacing = np.array(canonical.spacing_mm if spacing_mm is None else spacing_mm)
    axes = _turn(_axes(canonical)[:, 0], np.array(plane.normal)) @ _axes(canonical)
    corners = canonical.corners_mm @ axes  # along the three new axes, in mm
    reach_mm = float(np.abs(corners[:, 0] - plane.offset_mm).max())
    low, high = corners.min(axis=0), corners.max(axis=0)
    low[0], high[0] = plane.offset_mm - reach_mm, plane.offset_mm + reach_mm
    shape = np.ceil((high - low) / spacing - 1e-6).astype(int) + 1
    first = (low + high) / 2 - (shape - 1) / 2 * spacing
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes * spacing, axes @ first
    return Grid.of(tuple(shape.tolist()), matrix)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lattice:
    """A small copy of a scan with isotropic voxels, to be compared with its mirror images.

    Attributes:
        ranks: 0 in air, up to 1 in the brightest part of the head.
        points_mm: Of the head's voxels, from the middle of the lattice along its axes.
        values: There.
        spacing_mm: Of the lattice.
    """

    ranks: Float32[np.ndarray, "x y z"]
    points_mm: Float64[np.ndarray, "3 point"]
    values: Float32[np.ndarray, "point"]
    spacing_mm: float

    def difference(self, pose: Pose) -> float:
        """Return the mean difference between mirror twins, without the most different ones; 0 without a head."""
        differences = np.abs(self.values - self._twins(pose))
        kept = int(len(differences) * _KEPT_SHARE)
        return float(np.partition(differences, kept)[:kept].mean()) if kept else 0.0

    def correlation(self, pose: Pose) -> float:
        """Return the correlation between mirror twins; 0 where one of the two is constant."""
        twins = self._twins(pose)
        if min(twins.size, self.values.size) < 2 or min(twins.std(), self.values.std()) < 1e-6:
            return 0.0
        return float(np.corrcoef(self.values, twins)[0, 1])

    def _twins(self, pose: Pose) -> Float32[np.ndarray, "point"]:
        normal = _normal(pose)
        away_mm = normal @ self.points_mm - pose[2]
        twins_mm = self.points_mm - 2 * normal[:, None] * away_mm
        middle = (np.array(self.ranks.shape) - 1) / 2
        coordinates = twins_mm / self.spacing_mm + middle[:, None]
        return np.asarray(map_coordinates(self.ranks, coordinates, order=1, mode="constant", cval=0.0))


def _sample(image: Float32[np.ndarray, "x y z"], grid: Grid, *, spacing_mm: float) -> _Lattice:
    """Blur a scan, look it up on a lattice around its middle, and replace intensities by ranks."""
    sigmas = [_BLUR * spacing_mm / step for step in grid.spacing_mm]
    smooth = gaussian_filter(image, sigmas, truncate=2.5)
    shape = tuple(
        int(np.ceil((size - 1) * step / spacing_mm)) + 1 for size, step in zip(grid.shape, grid.spacing_mm, strict=True)
    )
    axes, middle_mm = _axes(grid), _middle_mm(grid)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing_mm
    matrix[:3, 3] = middle_mm - matrix[:3, :3] @ ((np.array(shape) - 1) / 2)
    sampled = resample(smooth, grid, target=Grid.of(shape, matrix), order=1)
    head = find_foreground(sampled, rule="above_background")
    ranks = _ranks(_flattened(sampled, head, sigma=_SHADING_MM / spacing_mm), head)
    index = np.argwhere(head)
    points_mm = (index - (np.array(shape) - 1) / 2).T * spacing_mm
    return _Lattice(ranks=ranks, points_mm=points_mm, values=ranks[head], spacing_mm=spacing_mm)


def _flattened(
    image: Float32[np.ndarray, "x y z"], head: Bool[np.ndarray, "x y z"], *, sigma: float
) -> Float32[np.ndarray, "x y z"]:
    """Return the height above air relative to that of the neighbourhood: coils shade one side more than the other."""
    above = np.where(head, image - np.median(image[~head]), 0) if not head.all() else image
    weights = gaussian_filter(head.astype(np.float32), sigma)
    around = gaussian_filter(above.astype(np.float32), sigma) / np.maximum(weights, 1e-6)
    return np.where(head, above / np.maximum(around, 1e-6), 0).astype(np.float32)


def _ranks(image: Float32[np.ndarray, "x y z"], head: Bool[np.ndarray, "x y z"]) -> Float32[np.ndarray, "x y z"]:
    ranks = np.zeros_like(image)
    ranks[head] = rankdata(image[head]) / max(1, int(head.sum()))
    return ranks


def _starts() -> list[Pose]:
    """Return poses all over the range of the search."""
    widest = (_WIDEST_DEGREES, _WIDEST_DEGREES, _WIDEST_MM)
    counts = [int(most // step) for most, step in zip(widest, _START_STEPS, strict=True)]
    ranges = [
        [number * step for number in range(-count, count + 1)] for count, step in zip(counts, _START_STEPS, strict=True)
    ]
    return [(yaw, roll, offset) for yaw, roll, offset in product(*ranges)]


def _descend(lattice: _Lattice, pose: Pose, *, steps: tuple[float, ...]) -> Pose:
    """Walk to the best of all neighbours until none is better, with each step in turn."""
    known = cache(lattice.difference)  # neighbours of neighbours are asked for again
    least = known(pose)
    for step in steps:
        while True:
            neighbours = [
                (pose[0] + yaw * step, pose[1] + roll * step, pose[2] + offset * step)
                for yaw, roll, offset in product((-1, 0, 1), repeat=3)
                if yaw or roll or offset
            ]
            differences = [known(neighbour) for neighbour in neighbours]
            if min(differences) >= least - 1e-9:
                break
            least = min(differences)
            pose = neighbours[int(np.argmin(differences))]
    return pose


def _normal(pose: Pose) -> Float64[np.ndarray, "3"]:
    """Return the unit normal along the lattice's axes: the first axis, turned by yaw in x-y and by roll in x-z."""
    direction = np.array([1.0, math.tan(math.radians(pose[0])), math.tan(math.radians(pose[1]))])
    return np.asarray(direction / np.linalg.norm(direction))


def _to_world(pose: Pose, grid: Grid) -> tuple[Float64[np.ndarray, "3"], float]:
    normal = _axes(grid) @ _normal(pose)
    return normal, float(normal @ _middle_mm(grid)) + pose[2]


def _axes(grid: Grid) -> Float64[np.ndarray, "3 3"]:
    """Return the directions of the grid's axes as columns, made square to each other."""
    left, _, right = np.linalg.svd(grid.matrix[:3, :3] / np.array(grid.spacing_mm))
    return np.asarray(left @ right)


def _middle_mm(grid: Grid) -> Float64[np.ndarray, "3"]:
    return np.asarray(grid.corners_mm.mean(axis=0))


def _turn(start: Float64[np.ndarray, "3"], end: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    """Return the shortest rotation from one unit vector to another that is not opposite."""
    axis, cosine = np.cross(start, end), float(start @ end)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))
