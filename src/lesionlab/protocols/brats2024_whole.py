"""The scores of whole regions that the official code of BraTS 2024 computes on numbers of lesions instead of on masks.

They exist to reproduce published columns. Correct ones of the same names are in `brats2023` and `lesionlab`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Bool, UInt8, UInt32

from lesionlab.core.metric import Mask, MaskPair, Metric, Score, Spacing, score_each
from lesionlab.metrics.lesion_wise import NearbyLesions
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.surface import nearest_mm
from lesionlab.metrics.surface_dice import MeanSurfaceDice
from lesionlab.metrics.surfel import FULL, distance_reached, sorted_by_distance, surfel_areas_mm2

Numbers = UInt32[np.ndarray, "x y z"]
TISSUES = ("NETC", "SNFH", "ET", "RC")
METRICS: Final[dict[str, Metric]] = {
    "dice": Dice(both_empty=1.0),
    "nsd_0.5mm": MeanSurfaceDice(tolerance_mm=0.5, both_empty=1.0),
    "nsd_1mm": MeanSurfaceDice(tolerance_mm=1.0, both_empty=1.0),
}


def score_whole(
    pair: MaskPair, lesions: NearbyLesions, region: str, *, pairs: Mapping[str, MaskPair], penalty_mm: float
) -> tuple[Score, ...]:
    """Score one region as a whole, after small predicted lesions were erased.

    Args:
        pair: Of the region.
        lesions: How its lesions are made.
        region: Its name.
        pairs: Of all regions, to know what touches another tissue.
        penalty_mm: What one empty mask gives as distance.
    """
    others = [pairs[name] for name in TISSUES if name != region] if region in TISSUES else []
    predicted = _numbered(pair.predicted, lesions, [other.predicted for other in others])
    reference = _numbered(
        pair.reference, replace(lesions, smallest_predicted_voxels=0), [other.reference for other in others]
    )
    kept = replace(pair, predicted=predicted > 0)
    faulty = {
        "sensitivity": _sensitivity(predicted, reference),
        "specificity": _specificity(predicted, reference),
        "hd95_mm": _hausdorff95_mm(predicted, reference, pair.spacing_mm, penalty_mm),
    }
    scores = tuple(
        Score(
            region=region,
            metric=name,
            value=value,
            unit="mm" if name == "hd95_mm" else "1",
            is_higher_better=name != "hd95_mm",
            reason=kept.emptiness,
        )
        for name, value in faulty.items()
    )
    return scores + score_each(METRICS, kept, region=region)


def _numbered(mask: Mask, lesions: NearbyLesions, others: list[Mask]) -> Numbers:
    """Number the lesions in C order, those of one tissue that touch no other tissue first."""
    numbers = lesions.numbered(mask)
    other = np.logical_or.reduce(others) if others else np.zeros_like(mask)
    grown = lesions.grown(numbers)
    touching = set(np.unique(grown[other]).tolist()) - {0}
    n = int(numbers.max())
    order = sorted(range(1, n + 1), key=lambda number: (number in touching, number))
    renumbered = np.zeros(n + 1, dtype=np.uint32)
    renumbered[order] = np.arange(1, n + 1)
    ordered: Numbers = renumbered[numbers]
    return ordered


def _is_first_of_both(predicted: Numbers, reference: Numbers) -> int:
    return int(np.count_nonzero((predicted == 1) & (reference == 1)))


def _sensitivity(predicted: Numbers, reference: Numbers) -> float:
    """Return shared voxels of both first lesions over the sum of the reference's numbers; 1 for two empty masks."""
    total = int(reference.sum())
    if not total:
        return 0.0 if predicted.any() else 1.0
    return _is_first_of_both(predicted, reference) / total


def _specificity(predicted: Numbers, reference: Numbers) -> float:
    """Return voxels of neither first lesion over themselves and the sum of the prediction's other numbers.

    It is 0 where there are neither, as for a first lesion that fills the volume in both masks.
    """
    true_negatives = int(np.count_nonzero((predicted != 1) & (reference != 1)))
    total = true_negatives + int(predicted.sum()) - _is_first_of_both(predicted, reference)
    return true_negatives / total if total else 0.0


def _hausdorff95_mm(predicted: Numbers, reference: Numbers, spacing_mm: Spacing, penalty_mm: float) -> float:
    if not (predicted.any() and reference.any()):
        return penalty_mm if predicted.any() or reference.any() else 0.0
    areas = surfel_areas_mm2(spacing_mm)
    codes = [_overflowing_codes(numbers) for numbers in (predicted, reference)]
    surfaces: list[Bool[np.ndarray, "a b c"]] = [(code != 0) & (code != FULL) for code in codes]
    reached = []
    for start, goal in ((0, 1), (1, 0)):
        distances = nearest_mm(surfaces[start], surfaces[goal], spacing_mm=spacing_mm)
        reached.append(distance_reached(*sorted_by_distance(distances, areas[codes[start][surfaces[start]]]), 95.0))
    return max(reached)


def _overflowing_codes(numbers: Numbers) -> UInt8[np.ndarray, "a b c"]:
    """Weigh eight neighbouring voxels by their numbers in 8 bits, so that the inside of a lesion is surface."""
    padded = np.pad(numbers.astype(np.uint8), 1)
    x, y, z = (size - 1 for size in padded.shape)
    codes = np.zeros((x, y, z), dtype=np.uint8)
    for bit, (i, j, k) in enumerate(np.ndindex(2, 2, 2)):
        codes += padded[i : i + x, j : j + y, k : k + z] << np.uint8(7 - bit)
    return codes
