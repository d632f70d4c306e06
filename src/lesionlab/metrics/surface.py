"""Distances between the surface voxels of two masks, measured once and shared by every metric that needs them."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from lesionlab.core.metric import Mask, MaskPair, Spacing
from lesionlab.metrics.slabs import slabs

VOXELS_PER_LOOK_UP = 12
"""A distance transform of so many voxels takes as long as looking up one point in a tree."""

Voxels: TypeAlias = Int[np.ndarray, "3 voxel"]
Places: TypeAlias = Int[np.ndarray, " voxel"]
Distances: TypeAlias = Float[np.ndarray, "_"]

EmptyDistance: TypeAlias = Literal["undefined", "zero", "diagonal", "infinite"]
"""What a distance to nothing is: NaN, 0, infinite, or the volume's diagonal (centres of its corner voxels) in mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceDistances:
    """Distance in mm from each surface voxel of one mask to the nearest surface voxel of the other.

    Both are empty when either mask has no surface.
    """

    from_predicted: Distances
    from_reference: Distances

    @property
    def is_defined(self) -> bool:
        """Whether both masks have a surface."""
        return bool(self.from_predicted.size and self.from_reference.size)


def surface_distances(pair: MaskPair) -> SurfaceDistances:
    """Measure between surfaces whose voxels have a face neighbour outside the mask; outside the volume is outside.

    In a picture the neighbours are those in its plane. Call it as ``pair.once(surface_distances)``.
    """
    predicted, reference = surfaces(pair)
    return distances_between(predicted, reference, spacing_mm=pair.spacing_mm)


def surfaces(pair: MaskPair) -> tuple[Mask, Mask]:
    """Return the surface voxels of both masks, predicted first, within ``pair.cropped``."""
    axes = 2 if pair.is_picture else 3
    predicted, reference = (_in_slabs(partial(_cross_surface, axes=axes), mask) for mask in pair.cropped)
    return predicted, reference


def in_plane_surface_distances(pair: MaskPair) -> SurfaceDistances:
    """Measure between surfaces whose voxels have one of 8 neighbours in their own slice (axis z) outside the mask.

    Outside the volume counts as inside the mask: a lesion cut off by the volume's border has no surface there. Call
    it as ``pair.once(in_plane_surface_distances)``.
    """
    predicted, reference = (_in_slabs(_in_plane_surface, mask) for mask in pair.cropped)
    return distances_between(predicted, reference, spacing_mm=pair.spacing_mm)


def distances_between(predicted: Mask, reference: Mask, *, spacing_mm: Spacing) -> SurfaceDistances:
    """Measure between two sets of voxels on one grid."""
    if not (predicted.any() and reference.any()):
        return SurfaceDistances(from_predicted=np.zeros(0), from_reference=np.zeros(0))
    return SurfaceDistances(
        from_predicted=nearest_mm(predicted, reference, spacing_mm=spacing_mm),
        from_reference=nearest_mm(reference, predicted, spacing_mm=spacing_mm),
    )


def nearest_mm(start: Mask, goal: Mask, *, spacing_mm: Spacing) -> Distances:
    """Return the distance in mm from each voxel of `start`, in C order, to the nearest of `goal`; infinite for none.

    Most voxels lie on or beside the other surface. Only the others are looked up in a tree of points or, where they
    are many, in a distance transform.
    """
    if not goal.any():
        return np.full(np.count_nonzero(start), np.inf)
    places, padded = np.flatnonzero(np.pad(start, 1)), np.pad(goal, 1)  # so that every voxel has 26 neighbours
    distances = _to_neighbours_mm(places, padded, spacing_mm=spacing_mm)
    is_far = np.isinf(distances)
    if is_far.any():
        far = _voxels(places[is_far], padded)
        look_up = _by_transform_mm if far.shape[1] * VOXELS_PER_LOOK_UP > goal.size else _by_tree_mm
        distances[is_far] = look_up(far, padded, spacing_mm=spacing_mm)
    return distances


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceDistanceMetric(ABC):
    """A distance in mm that is measured from the distances between two surfaces, with a rule for empty masks.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.
    """

    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    both_empty: EmptyDistance = "undefined"
    one_empty: EmptyDistance = "undefined"

    @abstractmethod
    def measure(self, distances: SurfaceDistances) -> float:
        """Return the distance in mm between two masks that both have a surface."""

    def __call__(self, pair: MaskPair) -> float:
        """Return the distance in mm, by the declared policy where a mask is empty."""
        if pair.predicted_voxels and pair.reference_voxels:
            return self.measure(pair.once(surface_distances))
        is_one_empty = bool(pair.predicted_voxels or pair.reference_voxels)
        return empty_distance(self.one_empty if is_one_empty else self.both_empty, pair)


def empty_distance(policy: EmptyDistance, pair: MaskPair) -> float:
    """Return the distance that a policy gives, in mm."""
    if policy == "diagonal":
        return math.hypot(*((size - 1) * mm for size, mm in zip(pair.predicted.shape, pair.spacing_mm, strict=True)))
    return {"undefined": math.nan, "zero": 0.0, "infinite": math.inf}[policy]


def _in_slabs(surface_of: Callable[[Mask], Mask], mask: Mask) -> Mask:
    """Find the surface in slab after slab, each with its neighbouring slices: so it stays in the processor's cache."""
    surface = np.zeros_like(mask)
    for slab in slabs(mask):
        if mask[slab].any():
            before = min(slab.start, 1)
            found = surface_of(mask[slab.start - before : slab.stop + 1])
            surface[slab] = found[before:][: slab.stop - slab.start]
    return surface


def _cross_surface(mask: Mask, *, axes: int) -> Mask:
    """Return voxels of which a face neighbour along the first `axes` axes is outside; so is what lies off the array."""
    inside = mask
    for axis in range(axes):
        kept = _eroded_along(mask, axis)
        kept.swapaxes(axis, 0)[[0, -1]] = False
        inside = inside & kept
    surface: Mask = mask & ~inside
    return surface


def _in_plane_surface(mask: Mask) -> Mask:
    """Return voxels of which one of eight neighbours in their slice is outside; what lies off the array is inside."""
    surface: Mask = mask & ~_eroded_along(_eroded_along(mask, 0), 1)
    return surface


def _eroded_along(mask: Mask, axis: int) -> Mask:
    """Keep voxels whose two neighbours along `axis` are in the mask; outside the array is."""
    kept = mask.copy()
    inner, whole = kept.swapaxes(axis, 0), mask.swapaxes(axis, 0)
    inner[1:] &= whole[:-1]
    inner[:-1] &= whole[1:]
    return kept


def _to_neighbours_mm(places: Places, goal: Mask, *, spacing_mm: Spacing) -> Distances:
    """Return the distance of those of which the nearest voxel of `goal` is itself or one of 26; infinite otherwise."""
    distances = np.full(places.size, np.inf)
    left = np.arange(places.size)
    for mm, step in _steps(spacing_mm):
        is_there = goal.ravel()[places[left] + np.dot(step, goal.strides)]
        distances[left[is_there]] = mm
        left = left[~is_there]
    return distances


@cache
def _steps(spacing_mm: Spacing) -> list[tuple[float, tuple[int, ...]]]:
    """Return the steps to a voxel and its 26 neighbours with their lengths, shortest first.

    They end with twice the smallest spacing, where a voxel further off may be nearer.
    """
    steps = itertools.product((-1, 0, 1), repeat=3)
    measured = [(math.hypot(*np.multiply(step, spacing_mm)), step) for step in steps]
    return sorted(pair for pair in measured if pair[0] <= 2 * min(spacing_mm))


def _by_tree_mm(voxels: Voxels, goal: Mask, *, spacing_mm: Spacing) -> Distances:
    spacing = np.array(spacing_mm)
    points = np.multiply(_voxels(np.flatnonzero(goal), goal).T, spacing, order="C")  # the tree would copy any other
    tree = cKDTree(points, compact_nodes=False, balanced_tree=False)  # quicker to build
    distances, _ = tree.query(voxels.T * spacing)
    return np.asarray(distances)


def _by_transform_mm(voxels: Voxels, goal: Mask, *, spacing_mm: Spacing) -> Distances:
    nearest = distance_transform_edt(~goal, sampling=spacing_mm, return_distances=False, return_indices=True)
    squared = np.zeros(voxels.shape[1])
    for axis, mm in enumerate(spacing_mm):
        squared += ((nearest[axis][tuple(voxels)] - voxels[axis]) * mm) ** 2
    return np.sqrt(squared)


def _voxels(places: Places, mask: Mask) -> Voxels:
    """Return the three indices of places in C order (np.nonzero of three axes takes several times as long)."""
    return np.stack(np.unravel_index(places, mask.shape))
