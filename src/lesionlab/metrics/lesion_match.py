"""Lesions of both masks matched one to one, and scores of recognising and of outlining them.

Source: Kofler et al. 2023, Panoptica, arXiv 2312.02608; Kirillov et al. 2019, doi:10.1109/CVPR.2019.00963.
"""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int
from scipy.ndimage import find_objects
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lesionlab.core.metric import MaskPair, Metric, metric
from lesionlab.metrics.components import Lesions, find_lesions
from lesionlab.metrics.overlap import Dice

Counts = Int[np.ndarray, "_"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A lesion of the reference and the predicted lesion that stands for it, by their numbers.

    Attributes:
        reference: Number of the one, in `Lesions.reference`.
        predicted: Number of the other, in `Lesions.predicted`.
        dice: Of the two.
        iou: Of the two.
    """

    reference: int
    predicted: int
    dice: float
    iou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """All matches of a pair of masks, and how many lesions each mask has."""

    matches: tuple[Match, ...]
    n_predicted: int
    n_reference: int

    @property
    def f1(self) -> float:
        """Twice the matches over the lesions of both masks; NaN when there is no lesion."""
        lesions = self.n_predicted + self.n_reference
        return 2 * len(self.matches) / lesions if lesions else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class OneToOne:
    """How lesions are matched, each at most once, so that the sum of a score is highest; call ``pair.once(...)``.

    Args:
        by: The score of two lesions.
        at_least: Smaller scores are no match.
    """

    by: Literal["dice", "iou"] = "dice"
    at_least: float = 1e-6

    def __call__(self, pair: MaskPair) -> Matches:
        """Match the lesions of both masks."""
        lesions = pair.once(find_lesions)
        matches = tuple(
            match for match in self._best(_overlaps(lesions), lesions) if self._score(match) >= self.at_least
        )
        return Matches(matches=matches, n_predicted=lesions.n_predicted, n_reference=lesions.n_reference)

    def _score(self, match: Match) -> float:
        return match.dice if self.by == "dice" else match.iou

    def _best(self, overlaps: list[Match], lesions: Lesions) -> Iterator[Match]:
        """Solve each group of lesions that are linked by overlaps on its own: together they would fill the memory."""
        for group in _groups(overlaps, lesions):
            rows = {number: row for row, number in enumerate(dict.fromkeys(match.reference for match in group))}
            columns = {
                number: column for column, number in enumerate(dict.fromkeys(match.predicted for match in group))
            }
            table = {(rows[match.reference], columns[match.predicted]): match for match in group}
            scores = np.zeros((len(rows), len(columns)))
            for place, match in table.items():
                scores[place] = self._score(match)
            chosen = zip(*(places.tolist() for places in linear_sum_assignment(scores, maximize=True)), strict=True)
            yield from (table[place] for place in chosen if place in table)


@metric("lesion_recognition")
@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRecognition:
    """F1 of lesions that are matched one to one (recognition quality); in [0, 1].

    Args:
        matching: What counts as a match.
        both_empty: What two masks without a lesion give.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    matching: OneToOne = OneToOne()
    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the F1."""
        f1 = pair.once(self.matching).f1
        return self.both_empty if math.isnan(f1) else f1


@metric("matched_dice")
@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedDice:
    """Mean Dice over lesions that are matched one to one (segmentation quality): blind to what was missed; in [0, 1].

    Args:
        matching: What counts as a match.
        none_matched: What a pair with lesions gives of which none is matched.
        both_empty: What two masks without a lesion give.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = "no lesion is matched"

    matching: OneToOne = OneToOne()
    none_matched: float = 0.0
    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the mean."""
        found = pair.once(self.matching)
        if found.matches:
            return statistics.fmean(match.dice for match in found.matches)
        return self.none_matched if found.n_predicted + found.n_reference else self.both_empty


@metric("panoptic_quality")
@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticQuality:
    """Mean Dice over matched lesions, where each missed or false one counts half a Dice of 0; in [0, 1].

    It is the product of recognition and segmentation quality.

    Args:
        matching: What counts as a match.
        both_empty: What two masks without a lesion give.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    matching: OneToOne = OneToOne()
    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the product."""
        found = pair.once(self.matching)
        lesions = found.n_predicted + found.n_reference
        return 2 * sum(match.dice for match in found.matches) / lesions if lesions else self.both_empty


def matched_pairs(pair: MaskPair, matching: OneToOne) -> Iterator[MaskPair]:
    """Yield a pair of masks per match, cut to its two lesions, in the order of ``pair.once(matching).matches``."""
    lesions = pair.once(find_lesions)
    places = [find_objects(numbers.astype(np.int32)) for numbers in (lesions.predicted, lesions.reference)]
    for match in pair.once(matching).matches:
        both = zip(places[0][match.predicted - 1], places[1][match.reference - 1], strict=True)
        block = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in both)
        yield MaskPair(
            predicted=lesions.predicted[block] == match.predicted,
            reference=lesions.reference[block] == match.reference,
            spacing_mm=pair.spacing_mm,
            is_picture=pair.is_picture,
        )


def score_matched(pair: MaskPair, matching: OneToOne, measure: Metric) -> list[float]:
    """Return a metric of each matched pair of lesions."""
    if isinstance(measure, Dice):
        return [match.dice for match in pair.once(matching).matches]
    return [measure(matched) for matched in matched_pairs(pair, matching)]


def _overlaps(lesions: Lesions) -> list[Match]:
    """Return every pair of lesions that share a voxel."""
    width = lesions.n_predicted + 1
    own, other = lesions.shared()
    keys, shared = np.unique(other.astype(np.int64) * width + own, return_counts=True)
    reference, predicted = keys // width, keys % width
    sizes = lesions.reference_voxels[reference - 1] + lesions.predicted_voxels[predicted - 1]
    return [
        Match(reference=r, predicted=p, dice=2 * n / size, iou=n / (size - n))
        for r, p, n, size in zip(reference.tolist(), predicted.tolist(), shared.tolist(), sizes.tolist(), strict=True)
    ]


def _groups(overlaps: list[Match], lesions: Lesions) -> Iterator[list[Match]]:
    reference = [match.reference for match in overlaps]
    predicted = [lesions.n_reference + match.predicted for match in overlaps]
    n = lesions.n_reference + lesions.n_predicted + 1
    links = coo_array((np.ones(len(overlaps)), (reference, predicted)), shape=(n, n))
    _, group_of = connected_components(links, directed=False)
    together: dict[int, list[Match]] = {}
    for match in overlaps:
        together.setdefault(int(group_of[match.reference]), []).append(match)
    yield from together.values()
