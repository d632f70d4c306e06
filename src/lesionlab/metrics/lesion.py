"""How many lesions were found.

A lesion is a component whose voxels touch by a face, an edge or a corner (26 neighbours), or for some rules by a face
alone (6). It counts as found when the other mask has at least one voxel in it.
"""

from dataclasses import dataclass
from typing import ClassVar

from lesionlab.core.components import Neighbours
from lesionlab.core.metric import MaskPair, metric
from lesionlab.metrics.components import LesionCounts, count_face_lesions, count_lesions


def _counts(pair: MaskPair, neighbours: Neighbours) -> LesionCounts:
    return pair.once(count_lesions if neighbours == 26 else count_face_lesions)


@metric("lesion_recall")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRecall:
    """Fraction of the reference's lesions that the prediction touches; in [0, 1].

    Args:
        reference_empty: What a reference without a lesion gives, whatever was predicted.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    reference_empty: float = 1.0

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction found."""
        counts = pair.once(count_lesions)
        return counts.reference_touched / counts.reference if counts.reference else self.reference_empty


@metric("lesion_precision")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionPrecision:
    """Fraction of the predicted lesions that touch the reference; in [0, 1].

    Args:
        predicted_empty: What a prediction without a lesion gives, whatever the reference holds.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    predicted_empty: float = 1.0

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction that is real."""
        counts = pair.once(count_lesions)
        return counts.predicted_touched / counts.predicted if counts.predicted else self.predicted_empty


@metric("lesion_f1")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionF1:
    """Harmonic mean of lesion recall and lesion precision; in [0, 1], 0 when both are 0.

    Args:
        predicted_empty: The precision of a prediction without a lesion.
        reference_empty: The recall where the reference has no lesion.

    Source: WMH Segmentation Challenge 2017, doi:10.1109/TMI.2019.2905770.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    predicted_empty: float = 1.0
    reference_empty: float = 1.0

    def __call__(self, pair: MaskPair) -> float:
        """Return the harmonic mean."""
        recall = LesionRecall(reference_empty=self.reference_empty)(pair)
        precision = LesionPrecision(predicted_empty=self.predicted_empty)(pair)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@metric("lesion_f1_touched")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionF1Touched:
    """Lesion F1 whose only true positives are touched lesions of the reference; in [0, 1].

    2 TP / (2 TP + FP + FN) with FP the predicted lesions that touch nothing. It differs from `LesionF1` where one
    predicted lesion covers several of the reference or the reverse.

    Args:
        both_empty: What two masks without a lesion give.
        neighbours: Of a voxel: 26, or the 6 that share a face with it.

    Source: ISLES 2022 evaluation, doi:10.1038/s41597-022-01875-5.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    both_empty: float = 1.0
    neighbours: Neighbours = 26

    def __call__(self, pair: MaskPair) -> float:
        """Return the F1 over lesions of the reference."""
        counts = _counts(pair, self.neighbours)
        false_positives = counts.predicted - counts.predicted_touched
        judged = counts.reference_touched + counts.reference + false_positives
        return 2 * counts.reference_touched / judged if judged else self.both_empty


@metric("false_positive_lesions")
@dataclass(frozen=True, slots=True, kw_only=True)
class FalsePositiveLesions:
    """Number of predicted lesions that touch none of the reference; 0 for an empty prediction."""

    unit: ClassVar[str] = "lesions"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the count."""
        counts = pair.once(count_lesions)
        return float(counts.predicted - counts.predicted_touched)


@metric("lesion_count_difference")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionCountDifference:
    """Size of the difference of the two numbers of lesions; 0 when both masks are empty.

    Args:
        neighbours: Of a voxel: 26, or the 6 that share a face with it.
    """

    unit: ClassVar[str] = "lesions"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    neighbours: Neighbours = 26

    def __call__(self, pair: MaskPair) -> float:
        """Return the absolute difference."""
        counts = _counts(pair, self.neighbours)
        return float(abs(counts.predicted - counts.reference))


@metric("predicted_lesions")
@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedLesions:
    """Number of predicted lesions; 0 for an empty mask."""

    unit: ClassVar[str] = "lesions"
    is_higher_better: ClassVar[bool | None] = None
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the count."""
        return float(pair.once(count_lesions).predicted)


@metric("reference_lesions")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLesions:
    """Number of lesions of the reference; 0 for an empty mask."""

    unit: ClassVar[str] = "lesions"
    is_higher_better: ClassVar[bool | None] = None
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the count."""
        return float(pair.once(count_lesions).reference)
