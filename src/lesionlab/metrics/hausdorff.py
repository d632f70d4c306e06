"""Hausdorff distances: how far apart the worst places of two surfaces lie.

A Hausdorff distance is not one number: the 95th percentiles of the conventions below differ by up to a factor of six
on the same masks, so each has a name of its own (`hd95_surfel` lives with the surface elements).
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lesionlab.core.metric import MaskPair, metric
from lesionlab.metrics.surface import (
    Distances,
    EmptyDistance,
    SurfaceDistanceMetric,
    SurfaceDistances,
    in_plane_surface_distances,
)


@metric("hd95_wmh")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hausdorff95Wmh:
    """The larger of the two 95th percentiles of in-plane surface distances, in mm; undefined without two surfaces.

    Source: WMH Segmentation Challenge 2017, doi:10.1109/TMI.2019.2905770.
    """

    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = "a mask fills its slices up to the border of the volume and so has no surface"

    def __call__(self, pair: MaskPair) -> float:
        """Return the distance in mm; NaN when either mask has no surface."""
        distances = pair.once(in_plane_surface_distances)
        return _larger_percentile(distances) if distances.is_defined else math.nan


@metric("hd")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hausdorff(SurfaceDistanceMetric):
    """The largest surface distance of either direction, in mm: one stray voxel decides it.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.
    """

    def measure(self, distances: SurfaceDistances) -> float:
        """Return the largest in mm."""
        return float(max(distances.from_predicted.max(), distances.from_reference.max()))


@metric("hd95_max")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hausdorff95Max(SurfaceDistanceMetric):
    """The larger of the two directions' 95th percentiles of surface distances, in mm.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.

    Source: Metrics Reloaded, doi:10.1038/s41592-023-02151-z; MONAI computes the same in 32 bits.
    """

    def measure(self, distances: SurfaceDistances) -> float:
        """Return the larger percentile in mm."""
        return _larger_percentile(distances)


@metric("hd95_pooled")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hausdorff95Pooled(SurfaceDistanceMetric):
    """The 95th percentile of the surface distances of both directions pooled, in mm: the most lenient convention.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.

    Source: MedPy 0.4.0, `medpy.metric.binary.hd95` with `voxelspacing`.
    """

    def measure(self, distances: SurfaceDistances) -> float:
        """Return the percentile of all in mm."""
        return _percentile_95(np.concatenate([distances.from_predicted, distances.from_reference]))


@metric("hd95_pooled_voxels")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hausdorff95PooledVoxels:
    """`Hausdorff95Pooled` of the bare arrays: in voxels, blind to spacing; kept for papers that report it.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.
    """

    unit: ClassVar[str] = "voxel"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    both_empty: EmptyDistance = "undefined"
    one_empty: EmptyDistance = "undefined"

    def __call__(self, pair: MaskPair) -> float:
        """Return the distance in voxels, by the declared policy where a mask is empty."""
        in_mm = Hausdorff95Pooled(both_empty=self.both_empty, one_empty=self.one_empty)
        return in_mm(replace(pair, spacing_mm=(1.0, 1.0, 1.0)))


@metric("hd95_max_voxels")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hausdorff95MaxVoxels:
    """`Hausdorff95Max` of the bare arrays: in voxels, blind to spacing; kept for papers that report it.

    Args:
        empty_voxels: What any empty mask gives.
    """

    unit: ClassVar[str] = "voxel"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    empty_voxels: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the distance in voxels; `empty_voxels` where a mask is empty."""
        if not (pair.predicted_voxels and pair.reference_voxels):
            return self.empty_voxels
        return Hausdorff95Max()(replace(pair, spacing_mm=(1.0, 1.0, 1.0)))


def _larger_percentile(distances: SurfaceDistances) -> float:
    return max(_percentile_95(distances.from_predicted), _percentile_95(distances.from_reference))


def _percentile_95(distances: Distances) -> float:
    return float(np.percentile(distances, 95))
