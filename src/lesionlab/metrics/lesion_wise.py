"""Scores per lesion in the way of the brain tumour challenges: pieces that nearly touch are one lesion.

Source: BraTS 2023 and 2024, github.com/rachitsaluja/BraTS-2023-Metrics at 43c9052 and BraTS-2024-Metrics at f1131e3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import UInt
from scipy.ndimage import binary_dilation, find_objects, generate_binary_structure

from lesionlab.core.components import number_components
from lesionlab.core.metric import Mask, MaskPair, Metric, metric
from lesionlab.metrics.components import Numbers
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.surface_dice import MeanSurfaceDice
from lesionlab.metrics.surfel import Hausdorff95Surfel


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLesion:
    """One lesion of the reference beside everything predicted near it.

    Attributes:
        voxels: Of the lesion.
        pair: The lesion and all predicted lesions that touch its surroundings, as a pair of their own.
        is_found: Whether there are any.
        counts: Whether it is large enough to count.
    """

    voxels: int
    pair: MaskPair
    is_found: bool
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLesions:
    """All lesions of the reference, and how many predicted ones lie near none of them."""

    lesions: tuple[JudgedLesion, ...]
    false_positives: int

    @property
    def counted(self) -> tuple[JudgedLesion, ...]:
        """The lesions that are large enough to count."""
        return tuple(lesion for lesion in self.lesions if lesion.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyLesions:
    """How lesions are made and matched; call it as ``pair.once(NearbyLesions(...))``.

    Args:
        dilations: Steps of growth, to neighbours by face or edge (18), within which pieces of the reference are one
            lesion and predicted lesions belong to it.
        smallest_mm3: Lesions of the reference up to this volume count neither as found nor as missed.
        merges_predicted: Whether predicted pieces are joined likewise.
        smallest_predicted_voxels: Predicted lesions up to this size are erased first, where they are joined.
    """

    dilations: int = 3
    smallest_mm3: float = 50.0
    merges_predicted: bool = False
    smallest_predicted_voxels: int = 0

    def numbered(self, mask: Mask) -> Numbers:
        """Return each voxel's lesion, numbered from 1 in C order, as a prediction's are where they are joined."""
        numbers, n = _joined(mask, dilations=self.dilations)
        is_kept = np.bincount(numbers.ravel(), minlength=n + 1) > self.smallest_predicted_voxels
        is_kept[0] = False
        renumbered = np.where(is_kept, np.cumsum(is_kept), 0).astype(np.uint32)
        lesions: Numbers = renumbered[numbers]
        return lesions

    def grown(self, numbers: Numbers) -> Numbers:
        """Return the components of the grown voxels, with the numbers of the lesions in them."""
        components, n = number_components(
            binary_dilation(numbers > 0, generate_binary_structure(3, 2), iterations=self.dilations), neighbours=26
        )
        number_of = np.zeros(n + 1, dtype=np.uint32)
        is_lesion = numbers > 0
        number_of[components[is_lesion]] = numbers[is_lesion]
        grown: Numbers = number_of[components]
        return grown

    def __call__(self, pair: MaskPair) -> JudgedLesions:
        """Match the lesions of both masks."""
        predicted_mask, reference_mask = (np.pad(mask, self.dilations) for mask in pair.cropped)
        reference, _ = _joined(reference_mask, dilations=self.dilations)
        if self.merges_predicted:
            predicted = self.numbered(predicted_mask)
        else:
            predicted, _ = number_components(predicted_mask, neighbours=26)
        predicted_places = find_objects(predicted.astype(np.int32))
        matched: set[int] = set()
        judged = []
        for number, place in enumerate(find_objects(reference.astype(np.int32)), start=1):
            near = _near(reference[place] == number, place=place, numbers=predicted, dilations=self.dilations)
            matched |= near
            block = _around([place, *(predicted_places[other - 1] for other in near)])
            found = np.isin(predicted[block], sorted(near))
            judged.append(self._judge(reference[block] == number, found, pair))
        false_positives = sum(place is not None for place in predicted_places) - len(matched)
        return JudgedLesions(lesions=tuple(judged), false_positives=false_positives)

    def _judge(self, lesion: Mask, found: Mask, pair: MaskPair) -> JudgedLesion:
        voxels = int(np.count_nonzero(lesion))
        return JudgedLesion(
            voxels=voxels,
            pair=MaskPair(predicted=found, reference=lesion, spacing_mm=pair.spacing_mm),
            is_found=bool(found.any()),
            counts=voxels * math.prod(pair.spacing_mm) > self.smallest_mm3,
        )


@metric("lesion_wise_dice")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionWiseDice:
    """Mean Dice over lesions, in which a missed lesion and a false one each count 0; in [0, 1].

    Args:
        lesions: How lesions are made and matched.
        none: What a case gives that has neither a lesion that counts nor a false one.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    lesions: NearbyLesions = NearbyLesions()
    none: float = 1.0

    def __call__(self, pair: MaskPair) -> float:
        """Return the mean."""
        return _mean(pair.once(self.lesions), Dice(), worst=0.0, none=self.none)


@metric("lesion_wise_hd95")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionWiseHausdorff95:
    """Mean `Hausdorff95Surfel` over lesions in mm, in which a missed lesion and a false one each count a penalty.

    Args:
        lesions: How lesions are made and matched.
        penalty_mm: What a missed or false lesion counts.
        none: What a case gives that has neither a lesion that counts nor a false one.
    """

    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    lesions: NearbyLesions = NearbyLesions()
    penalty_mm: float = 374.0
    none: float = 0.0

    def __call__(self, pair: MaskPair) -> float:
        """Return the mean in mm."""
        return _mean(pair.once(self.lesions), Hausdorff95Surfel(), worst=self.penalty_mm, none=self.none)


@metric("lesion_wise_nsd")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionWiseSurfaceDice:
    """Mean `MeanSurfaceDice` over lesions, in which a missed lesion and a false one each count 0; in [0, 1].

    Args:
        lesions: How lesions are made and matched.
        tolerance_mm: As in `MeanSurfaceDice`.
        none: What a case gives that has neither a lesion that counts nor a false one.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    lesions: NearbyLesions = NearbyLesions()
    tolerance_mm: float = 1.0
    none: float = 1.0

    def __call__(self, pair: MaskPair) -> float:
        """Return the mean."""
        return _mean(
            pair.once(self.lesions), MeanSurfaceDice(tolerance_mm=self.tolerance_mm), worst=0.0, none=self.none
        )


@metric("lesion_wise_count")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionWiseCount:
    """Number of lesions that were found, missed, or predicted where there is none.

    Args:
        of: Which of the three is counted.
        lesions: How lesions are made and matched.
    """

    unit: ClassVar[str] = "lesions"
    is_higher_better: ClassVar[bool | None] = None
    undefined_when: ClassVar[str] = ""

    of: Literal["found", "missed", "false"] = "found"
    lesions: NearbyLesions = NearbyLesions()

    def __call__(self, pair: MaskPair) -> float:
        """Return the count."""
        judged = pair.once(self.lesions)
        if self.of == "false":
            return float(judged.false_positives)
        return float(sum(lesion.is_found == (self.of == "found") for lesion in judged.counted))


def _mean(judged: JudgedLesions, measure: Metric, *, worst: float, none: float) -> float:
    lesions = judged.counted
    n = len(lesions) + judged.false_positives
    total = sum(measure(lesion.pair) if lesion.is_found else worst for lesion in lesions)
    return (total + worst * judged.false_positives) / n if n else none


def _joined(mask: Mask, *, dilations: int) -> tuple[Numbers, int]:
    """Number the voxels of the mask by the components of the grown mask; also return how many components there are."""
    grown = binary_dilation(mask, generate_binary_structure(3, 2), iterations=dilations)
    numbers, n = number_components(grown, neighbours=26)
    return numbers * mask, n


def _near(lesion: Mask, *, place: tuple[slice, ...], numbers: UInt[np.ndarray, "a b c"], dilations: int) -> set[int]:
    """Return the numbers found around a lesion that was cut out at `place`; they have room for it on every side."""
    around = tuple(slice(part.start - dilations, part.stop + dilations) for part in place)
    grown = binary_dilation(np.pad(lesion, dilations), generate_binary_structure(3, 2), iterations=dilations)
    return set(np.unique(numbers[around][grown]).tolist()) - {0}


def _around(places: Sequence[tuple[slice, ...]]) -> tuple[slice, ...]:
    """Return the smallest block that holds all of these."""
    return tuple(
        slice(min(part.start for part in axis), max(part.stop for part in axis)) for axis in zip(*places, strict=True)
    )
