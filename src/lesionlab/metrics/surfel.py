"""Distances between surfaces made of small triangles, each weighing as much as its area.

Between every eight neighbouring voxels runs the piece of surface that marching cubes draws there (a surface element, or
surfel). A lesion's score so depends on how much surface it has, not on how many voxels the surface is cut into.
Source: Nikolov et al. 2021, doi:10.2196/26151; github.com/google-deepmind/surface-distance.
"""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar

import numpy as np
from jaxtyping import Float, UInt8
from skimage.measure import marching_cubes

from lesionlab.core.metric import Mask, MaskPair, Spacing, metric
from lesionlab.metrics.surface import Distances, EmptyDistance, empty_distance, nearest_mm

FULL = 255
"""The code of eight voxels that are all in the mask; 0 is the code of none. Between them runs no surface."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfelDistances:
    """Distance in mm and area in mm2 (length in mm for a picture) of each piece of surface, sorted by distance.

    Distances are infinite where the other mask has no surface.
    """

    from_predicted: Distances
    from_reference: Distances
    predicted_areas: Distances
    reference_areas: Distances


def surfel_distances(pair: MaskPair) -> SurfelDistances:
    """Measure from every piece of surface to the nearest of the other mask; call it as ``pair.once(...)``.

    Outside the volume is outside the mask.
    """
    codes = [_codes(mask, axes=2 if pair.is_picture else 3) for mask in pair.cropped]
    full = 15 if pair.is_picture else FULL
    predicted, reference = ((code != 0) & (code != full) for code in codes)
    sizes = contour_lengths_mm(pair.spacing_mm) if pair.is_picture else surfel_areas_mm2(pair.spacing_mm)
    first = sorted_by_distance(nearest_mm(predicted, reference, spacing_mm=pair.spacing_mm), sizes[codes[0][predicted]])
    second = sorted_by_distance(
        nearest_mm(reference, predicted, spacing_mm=pair.spacing_mm), sizes[codes[1][reference]]
    )
    return SurfelDistances(
        from_predicted=first[0], predicted_areas=first[1], from_reference=second[0], reference_areas=second[1]
    )


@lru_cache(maxsize=64)
def surfel_areas_mm2(spacing_mm: Spacing) -> Float[np.ndarray, "256"]:
    """Return the area of the surface between eight voxels for each of their 256 patterns."""
    areas = np.zeros(FULL + 1)
    for code, triangles in enumerate(_triangles()):
        corners = triangles * np.array(spacing_mm)
        sides = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas[code] = np.linalg.norm(sides, axis=1).sum() / 2
    return areas


@lru_cache(maxsize=64)
def contour_lengths_mm(spacing_mm: Spacing) -> Float[np.ndarray, "16"]:
    """Return the length of the contour between four pixels for each of their 16 patterns."""
    x, y, _ = spacing_mm
    lengths = np.zeros(16)
    corner = math.hypot(x, y) / 2
    for code in range(1, 15):
        first, second, third, fourth = ((code >> bit) & 1 for bit in range(4))
        if first + second + third + fourth != 2:
            lengths[code] = corner
        elif first == fourth:  # the two lie across
            lengths[code] = 2 * corner
        else:
            lengths[code] = y if first == second else x
    return lengths


def distance_reached(distances: Distances, areas: Distances, percent: float) -> float:
    """Return the smallest of sorted distances within which so much of the area lies.

    Differs: an area that is just as much is enough, however its sum was rounded, which depends on the order of axes.
    """
    cumulative = np.cumsum(areas) / areas.sum()
    return float(distances[min(int(np.searchsorted(cumulative, percent / 100 - 1e-9)), len(distances) - 1)])


def sorted_by_distance(distances: Distances, areas: Distances) -> tuple[Distances, Distances]:
    """Return both in the order of rising distance."""
    order = np.argsort(distances)
    return distances[order], areas[order]


@metric("hd95_surfel")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hausdorff95Surfel:
    """Distance in mm within which 95 % of each surface's area lies of the other surface; the larger direction.

    It is a distance that occurs: nothing is interpolated.

    Args:
        percent: How much of the area must be as near; 100 gives the plain Hausdorff distance.
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.
        penalty_mm: A number that one empty mask gives instead, unless it is NaN.
    """

    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    percent: float = 95.0
    both_empty: EmptyDistance = "undefined"
    one_empty: EmptyDistance = "undefined"
    penalty_mm: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the distance in mm, by the declared policy where a mask is empty."""
        if not (pair.predicted_voxels and pair.reference_voxels):
            is_one_empty = bool(pair.predicted_voxels or pair.reference_voxels)
            if is_one_empty and not math.isnan(self.penalty_mm):
                return self.penalty_mm
            return empty_distance(self.one_empty if is_one_empty else self.both_empty, pair)
        found = pair.once(surfel_distances)
        return max(
            distance_reached(found.from_predicted, found.predicted_areas, self.percent),
            distance_reached(found.from_reference, found.reference_areas, self.percent),
        )


@metric("nsd_surfel")
@dataclass(frozen=True, slots=True, kw_only=True)
class SurfelDice:
    """Fraction of the area of both surfaces together that lies within the tolerance of the other; in [0, 1].

    One empty mask gives 0.

    Args:
        tolerance_mm: Distance in mm up to which an outline is as good as the reference's.
        both_empty: What two empty masks give.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    tolerance_mm: float = 1.0
    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction; `both_empty` when there is no surface at all."""
        found = pair.once(surfel_distances)
        area = found.predicted_areas.sum() + found.reference_areas.sum()
        if not area:
            return self.both_empty
        tolerance_mm = self.tolerance_mm + 1e-9  # as coordinates times spacing are rounded
        near = found.predicted_areas[found.from_predicted <= tolerance_mm].sum()
        return float((near + found.reference_areas[found.from_reference <= tolerance_mm].sum()) / area)


def _codes(mask: Mask, *, axes: int) -> UInt8[np.ndarray, "a b c"]:
    """Number the pattern of every 2 x 2 x 2 voxels (2 x 2 pixels), those that reach over the border included."""
    padded = np.pad(mask, [(1, 1)] * axes + [(0, 0)] * (3 - axes)).view(np.uint8)
    shape = [size - 1 if axis < axes else size for axis, size in enumerate(padded.shape)]
    codes = np.zeros(shape, dtype=np.uint8)
    for bit, corner in enumerate(np.ndindex(*(2,) * axes)):
        window = tuple(slice(start, start + size) for start, size in zip((*corner, 0), shape, strict=False))
        codes |= padded[window] << np.uint8(bit)
    return codes


@cache
def _triangles() -> list[Float[np.ndarray, "triangles 3 3"]]:
    """Return what marching cubes draws between eight voxels for each of their patterns.

    As in its first publication, a pattern of more than four voxels is drawn like its complement: that is what the
    published distances rest on, while later tables close holes that scores do not care about.
    """
    drawn = []
    for code in range(FULL + 1):
        corners = np.array([(code >> bit) & 1 for bit in range(8)], dtype=np.float64).reshape(2, 2, 2)
        corners = 1 - corners if corners.sum() > 4 else corners
        if not corners.any():
            drawn.append(np.zeros((0, 3, 3)))
            continue
        points, triangles, _, _ = marching_cubes(corners, 0.5, method="lorensen")  # type: ignore[no-untyped-call]
        drawn.append(points[triangles].astype(np.float64))
    return drawn
