"""How far two masks share their voxels."""

import math
from dataclasses import dataclass
from typing import ClassVar

from lesionlab.core.metric import MaskPair, metric


@metric("dice")
@dataclass(frozen=True, slots=True, kw_only=True)
class Dice:
    """Twice the shared voxels over the voxels of both masks; in [0, 1].

    An empty prediction gives 0.

    Args:
        both_empty: What two empty masks give.
        reference_empty: What an empty reference gives when something was predicted.
        smooth_voxels: Added to numerator and denominator, as published scripts do so that two empty masks give 1.

    Source: Dice 1945, doi:10.2307/1932409.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    both_empty: float = math.nan
    reference_empty: float = 0.0
    smooth_voxels: float = 0.0

    def __call__(self, pair: MaskPair) -> float:
        """Return the Dice coefficient, by the declared policy where there is nothing to divide by."""
        if self.reference_empty and pair.predicted_voxels and not pair.reference_voxels:
            return self.reference_empty
        voxels = pair.predicted_voxels + pair.reference_voxels + self.smooth_voxels
        return (2 * pair.shared_voxels + self.smooth_voxels) / voxels if voxels else self.both_empty


@metric("iou")
@dataclass(frozen=True, slots=True, kw_only=True)
class IntersectionOverUnion:
    """Shared voxels over the voxels of either mask (the Jaccard index); in [0, 1].

    One empty mask gives 0.

    Args:
        both_empty: What two empty masks give.
        smooth_voxels: Added to numerator and denominator.
        counts_from: Anything smaller is given as 0; ISIC 2018 sets 0.65, below which an outline is called a failure.

    Source: Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    both_empty: float = math.nan
    smooth_voxels: float = 0.0
    counts_from: float = 0.0

    def __call__(self, pair: MaskPair) -> float:
        """Return the index; `both_empty` when there is nothing to divide by."""
        voxels = pair.predicted_voxels + pair.reference_voxels - pair.shared_voxels + self.smooth_voxels
        if not voxels:
            return self.both_empty
        index = (pair.shared_voxels + self.smooth_voxels) / voxels
        return index if index >= self.counts_from else 0.0


@metric("precision")
@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Fraction of the predicted voxels that the reference has too (positive predictive value); in [0, 1].

    Args:
        predicted_empty: What an empty prediction gives, whatever the reference holds.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    predicted_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction that is right."""
        return pair.shared_voxels / pair.predicted_voxels if pair.predicted_voxels else self.predicted_empty


@metric("recall")
@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Fraction of the reference's voxels that were predicted (sensitivity); in [0, 1].

    Args:
        reference_empty: What an empty reference gives when something was predicted.
        both_empty: What two empty masks give.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    reference_empty: float = math.nan
    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction found."""
        if pair.reference_voxels:
            return pair.shared_voxels / pair.reference_voxels
        return self.reference_empty if pair.predicted_voxels else self.both_empty


@metric("specificity")
@dataclass(frozen=True, slots=True, kw_only=True)
class Specificity:
    """Fraction of the volume outside the reference that was left alone; in [0, 1].

    Most of a scan is far from any lesion, so this is close to 1 for any prediction.

    Args:
        reference_full: What a reference that fills the volume gives.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = "the reference fills the volume"

    reference_full: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction left alone."""
        outside = pair.reference.size - pair.reference_voxels
        false_positives = pair.predicted_voxels - pair.shared_voxels
        return (outside - false_positives) / outside if outside else self.reference_full


@metric("accuracy")
@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Fraction of all voxels on which both masks agree; in [0, 1], and close to 1 wherever lesions are small."""

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction of agreement."""
        wrong = pair.predicted_voxels + pair.reference_voxels - 2 * pair.shared_voxels
        return (pair.reference.size - wrong) / pair.reference.size


@metric("matthews_correlation")
@dataclass(frozen=True, slots=True, kw_only=True)
class MatthewsCorrelation:
    """Correlation of the two masks over all voxels; in [-1, 1], 0 for chance.

    Args:
        constant: What a mask gives that is empty or fills the volume: nothing correlates with a constant.

    Source: Matthews 1975, doi:10.1016/0005-2795(75)90109-9.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = "a mask fills the volume"

    constant: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the correlation."""
        voxels = float(pair.reference.size)
        predicted, reference = pair.predicted_voxels / voxels, pair.reference_voxels / voxels
        spread = math.sqrt(predicted * (1 - predicted) * reference * (1 - reference))
        return (pair.shared_voxels / voxels - predicted * reference) / spread if spread else self.constant
