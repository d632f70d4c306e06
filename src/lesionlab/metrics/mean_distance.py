"""Mean surface distances: how far apart two surfaces lie on the whole.

"ASSD" is the name of two numbers. Pooled, every surface voxel weighs the same; as a mean of two means, both directions
do. Which one a program computes has changed between versions of the same program, so each has a name of its own.
"""

import statistics
from dataclasses import dataclass

from lesionlab.core.metric import metric
from lesionlab.metrics.surface import SurfaceDistanceMetric, SurfaceDistances


@metric("assd_pooled")
@dataclass(frozen=True, slots=True, kw_only=True)
class PooledMeanDistance(SurfaceDistanceMetric):
    """Mean of the surface distances of both directions pooled, in mm.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.

    Source: `assd` of MONAI and Metrics Reloaded, and of MedPy from 0.5 on.
    """

    def measure(self, distances: SurfaceDistances) -> float:
        """Return the mean of all in mm."""
        total_mm = distances.from_predicted.sum() + distances.from_reference.sum()
        return float(total_mm / (distances.from_predicted.size + distances.from_reference.size))


@metric("assd_of_means")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanOfMeanDistances(SurfaceDistanceMetric):
    """Mean of the two directions' mean surface distances, in mm.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.

    Source: `masd` of Metrics Reloaded; `assd` of MedPy up to 0.4.
    """

    def measure(self, distances: SurfaceDistances) -> float:
        """Return the mean of both means in mm."""
        return statistics.fmean([distances.from_predicted.mean(), distances.from_reference.mean()])


@metric("mean_distance_from_predicted")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDistanceFromPredicted(SurfaceDistanceMetric):
    """Mean distance from the predicted surface to the reference's, in mm: blind to what was missed.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.

    Source: `asd` of MedPy.
    """

    def measure(self, distances: SurfaceDistances) -> float:
        """Return the mean of the prediction's in mm."""
        return float(distances.from_predicted.mean())
