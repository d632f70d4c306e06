"""Free-response operating characteristic: lesions found against false ones per scan, threshold by threshold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lesionlab.core.metric import Mask, MaskPair
from lesionlab.metrics.components import count_lesions

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
FALSE_POSITIVES_PER_SCAN = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Froc:
    """The curve over all scans, one point per threshold, thresholds rising.

    Attributes:
        thresholds: Of the probabilities.
        sensitivity: Fraction of all lesions of all references that were found; NaN when there is none.
        false_positives_per_scan: Predicted lesions that touch none, over scans.
        scans: How many.
        lesions: How many of the references.
    """

    thresholds: tuple[float, ...]
    sensitivity: tuple[float, ...]
    false_positives_per_scan: tuple[float, ...]
    scans: int
    lesions: int

    def score(self, rates: Sequence[float] = FALSE_POSITIVES_PER_SCAN) -> float:
        """Return the mean sensitivity at given false positives per scan.

        At each rate counts the best sensitivity of a threshold that stays within it; 0 where none does.

        Source: Setio et al. 2017 (LUNA16), doi:10.1016/j.media.2017.06.015.
        """
        points = list(zip(self.false_positives_per_scan, self.sensitivity, strict=True))
        return float(np.mean([max((y for x, y in points if x <= rate), default=0.0) for rate in rates]))


def trace_froc(
    scans: Iterable[tuple[Float[np.ndarray, "x y z"], Mask]], *, thresholds: Sequence[float] = THRESHOLDS
) -> Froc:
    """Trace the curve over scans, each a map of probabilities and a reference; a voxel from the threshold on is lesion.

    Lesions have 26 neighbours and are found by any voxel.
    """
    found, false, lesions, n = np.zeros(len(thresholds)), np.zeros(len(thresholds)), 0, 0
    for probabilities, reference in scans:
        n += 1
        for place, threshold in enumerate(thresholds):
            pair = MaskPair(predicted=probabilities >= threshold, reference=reference, spacing_mm=(1.0, 1.0, 1.0))
            counts = count_lesions(pair)
            found[place] += counts.reference_touched
            false[place] += counts.predicted - counts.predicted_touched
        lesions += counts.reference
    return Froc(
        thresholds=tuple(thresholds),
        sensitivity=tuple((found / lesions if lesions else np.full_like(found, np.nan)).tolist()),
        false_positives_per_scan=tuple((false / max(n, 1)).tolist()),
        scans=n,
        lesions=lesions,
    )
