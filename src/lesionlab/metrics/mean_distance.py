"""Mean surface distances: how far apart two surfaces lie on the whole.

"ASSD" is the name of two numbers. Pooled, every surface voxel weighs the same; as a mean of two means, both directions
do. Which one a program computes has changed between versions of the same program, so each has a name of its own.
"""

import statistics
from dataclasses import dataclass
from typing import ClassVar

from lesionlab.core.metric import MaskPair, metric
from lesionlab.metrics.surface import EmptyDistance, SurfaceDistances, measured_or_ruled


@metric("assd_pooled")
@dataclass(frozen=True, slots=True, kw_only=True)
class PooledMeanDistance:
    """Mean of the surface distances of both directions pooled, in mm.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.

    Source: `assd` of MONAI and Metrics Reloaded, and of MedPy from 0.5 on.
    """

    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    both_empty: EmptyDistance = "undefined"
    one_empty: EmptyDistance = "undefined"

    def __call__(self, pair: MaskPair) -> float:
        """Return the distance in mm, by the declared policy where a mask is empty."""
        return measured_or_ruled(pair, _pooled, both_empty=self.both_empty, one_empty=self.one_empty)


@metric("assd_of_means")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanOfMeanDistances:
    """Mean of the two directions' mean surface distances, in mm.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.

    Source: `masd` of Metrics Reloaded; `assd` of MedPy up to 0.4.
    """

    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    both_empty: EmptyDistance = "undefined"
    one_empty: EmptyDistance = "undefined"

    def __call__(self, pair: MaskPair) -> float:
        """Return the distance in mm, by the declared policy where a mask is empty."""
        return measured_or_ruled(pair, _of_means, both_empty=self.both_empty, one_empty=self.one_empty)


@metric("mean_distance_from_predicted")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDistanceFromPredicted:
    """Mean distance from the predicted surface to the reference's, in mm: blind to what was missed.

    Args:
        both_empty: What two empty masks give.
        one_empty: What one empty mask gives.

    Source: `asd` of MedPy.
    """

    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    both_empty: EmptyDistance = "undefined"
    one_empty: EmptyDistance = "undefined"

    def __call__(self, pair: MaskPair) -> float:
        """Return the distance in mm, by the declared policy where a mask is empty."""
        return measured_or_ruled(pair, _from_predicted, both_empty=self.both_empty, one_empty=self.one_empty)


def _pooled(distances: SurfaceDistances) -> float:
    total = distances.from_predicted.sum() + distances.from_reference.sum()
    return float(total / (distances.from_predicted.size + distances.from_reference.size))


def _of_means(distances: SurfaceDistances) -> float:
    return statistics.fmean([distances.from_predicted.mean(), distances.from_reference.mean()])


def _from_predicted(distances: SurfaceDistances) -> float:
    return float(distances.from_predicted.mean())
