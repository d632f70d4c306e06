"""The scores of the brain tumour challenges of 2025 (Lighthouse): lesions matched one to one."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

import numpy as np
from jaxtyping import Bool

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol
from lesionlab.metrics.components import find_lesions
from lesionlab.metrics.hausdorff import Hausdorff95Pooled
from lesionlab.metrics.lesion_match import LesionRecognition, MatchedDice, OneToOne, PanopticQuality, score_matched
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.surface_dice import MeanSurfaceDice
from lesionlab.protocols.brats2024 import GLIOMA_REGIONS, METASTASES_REGIONS
from lesionlab.protocols.brats_regions import region_pairs

MATCHING: Final = OneToOne(by="dice", at_least=1e-6)
SMALL_MM3: Final = 27.0
FOUND_FROM: Final = 0.2
CITATION = (
    "BraTS 2025 Lighthouse, synapse.org/brats2025; panoptica 2.1.7 with the settings of "
    "BraTS/BraTS_evaluation at 791134c52aed357b937cb1a3e650f1cb5fa87be2"
)


@protocol("brats2025")
class Brats2025:
    """Glioma after treatment: stored values as in `brats2024_gli`, each predicted lesion for at most one reference.

    Lesions have 26 neighbours and are matched so that the sum of their Dice is highest, however small it is.
    "matched_dice", "matched_hd95_mm" and "matched_nsd" (tolerance: the smallest spacing) are means over matched
    lesions alone, so that a lesion that was missed leaves them as they are; "panoptic_dice" counts it. With lesions
    of which none is matched, Dice and surface Dice are 0 and the distance infinite; with none at all, everything is
    undefined.

    "hd95_voxels" and "nsd_identical" of the whole region are as the official run gives them: in voxels, blind to
    spacing, with a tolerance below one voxel, and an infinite distance where no lesion is matched.
    """

    title: ClassVar[str] = "BraTS 2025, glioma"
    citation: ClassVar[str] = CITATION
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = Labels(regions=GLIOMA_REGIONS)
    regions: ClassVar[Mapping[str, frozenset[int]]] = GLIOMA_REGIONS

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the official scores of each region."""
        pairs = region_pairs(predicted, reference, self.regions, spacing_mm=spacing_mm)
        return tuple(score for region, pair in pairs.items() for score in _scores(pair, region))


@protocol("brats2025_met")
class Brats2025Metastases(Brats2025):
    """Metastases: as `brats2025`, of the regions ET, RC, TC and WT, and by the size of the lesion as well.

    A lesion of the reference below 27 mm3 is too small for its outline to say much, so that it is only asked whether it
    was found, by a matched lesion with a Dice of 0.2 or more ("small_lesion_recall"). The outline is judged of the
    others ("large_matched_dice" and its like), again over matched lesions alone.
    """

    title: ClassVar[str] = "BraTS 2025, metastases"
    reads: ClassVar[Labels | None] = Labels(regions=METASTASES_REGIONS)
    regions: ClassVar[Mapping[str, frozenset[int]]] = METASTASES_REGIONS

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the official scores of each region, and those by the size of the lesion."""
        pairs = region_pairs(predicted, reference, self.regions, spacing_mm=spacing_mm)
        by_size = (score_each(BY_SIZE, pair, region=region) for region, pair in pairs.items())
        whole = super().score(predicted, reference, spacing_mm=spacing_mm)
        return whole + tuple(score for scores in by_size for score in scores)


def _scores(pair: MaskPair, region: str) -> tuple[Score, ...]:
    in_voxels = replace(pair, spacing_mm=(1.0, 1.0, 1.0))
    return score_each(METRICS, pair, region=region) + score_each(IN_VOXELS, in_voxels, region=region)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    """Number of lesions that are matched, missed, or predicted without a match."""

    unit: ClassVar[str] = "lesions"
    is_higher_better: ClassVar[bool | None] = None
    undefined_when: ClassVar[str] = ""

    of: Literal["matched", "missed", "false"]

    def __call__(self, pair: MaskPair) -> float:
        found = pair.once(MATCHING)
        lesions = {"matched": 2 * len(found.matches), "missed": found.n_reference, "false": found.n_predicted}
        return float(lesions[self.of] - len(found.matches))


@dataclass(frozen=True, slots=True, kw_only=True)
class _MatchedHausdorff95:
    """Mean distance of matched lesions; infinite where there are lesions and none is matched."""

    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        return _mean_or(score_matched(pair, MATCHING, Hausdorff95Pooled()), math.inf, pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class _MatchedSurfaceDice:
    """Mean surface Dice of matched lesions within the smallest spacing; 0 where none of the lesions is matched."""

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        measure = MeanSurfaceDice(tolerance_mm=min(pair.spacing_mm))
        return _mean_or(score_matched(pair, MATCHING, measure), 0.0, pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class _WholeHausdorff95:
    """Distance of the whole region; infinite where no lesion is matched."""

    unit: ClassVar[str] = "voxel"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        whole = Hausdorff95Pooled(one_empty="infinite")(pair)
        return whole if math.isnan(whole) or pair.once(MATCHING).matches else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class _SmallLesionRecall:
    """Fraction of the small lesions of the reference that are found."""

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = "the reference has no small lesion"

    def __call__(self, pair: MaskPair) -> float:
        is_small = _is_small(pair)
        found = [
            match for match in pair.once(MATCHING).matches if is_small[match.reference - 1] and match.dice >= FOUND_FROM
        ]
        return len(found) / int(is_small.sum()) if is_small.any() else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfLarge:
    """Mean of a metric over matched lesions that are not small; `worst` where there are some and none is matched."""

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = "the reference has no large lesion"

    worst: ClassVar[float] = 0.0

    def of_matches(self, pair: MaskPair) -> list[float]:
        """Return the Dice of each match."""
        return score_matched(pair, MATCHING, Dice())

    def __call__(self, pair: MaskPair) -> float:
        is_small = _is_small(pair)
        matches = zip(pair.once(MATCHING).matches, self.of_matches(pair), strict=True)
        values = [value for match, value in matches if not is_small[match.reference - 1]]
        if values:
            return statistics.fmean(values)
        return math.nan if is_small.all() else self.worst


class _OfLargeHausdorff95(_OfLarge):
    unit: ClassVar[str] = "mm"
    is_higher_better: ClassVar[bool | None] = False
    worst: ClassVar[float] = math.inf

    def of_matches(self, pair: MaskPair) -> list[float]:
        """Return the distance of each match."""
        return score_matched(pair, MATCHING, Hausdorff95Pooled())


class _OfLargeSurfaceDice(_OfLarge):
    def of_matches(self, pair: MaskPair) -> list[float]:
        """Return the surface Dice of each match within the smallest spacing."""
        return score_matched(pair, MATCHING, MeanSurfaceDice(tolerance_mm=min(pair.spacing_mm)))


def _is_small(pair: MaskPair) -> Bool[np.ndarray, " lesion"]:
    """Return of each lesion of the reference whether it is small."""
    is_small: Bool[np.ndarray, " lesion"] = (
        pair.once(find_lesions).reference_voxels * math.prod(pair.spacing_mm) < SMALL_MM3
    )
    return is_small


def _mean_or(values: list[float], worst: float, pair: MaskPair) -> float:
    """Return the mean; `worst` where none of the lesions is matched and NaN where there is none."""
    if values:
        return statistics.fmean(values)
    return worst if pair.predicted_voxels or pair.reference_voxels else math.nan


METRICS: Final[dict[str, Metric]] = {
    "matched_lesions": _Count(of="matched"),
    "missed_lesions": _Count(of="missed"),
    "false_lesions": _Count(of="false"),
    "lesion_f1": LesionRecognition(matching=MATCHING),
    "matched_dice": MatchedDice(matching=MATCHING),
    "panoptic_dice": PanopticQuality(matching=MATCHING),
    "matched_hd95_mm": _MatchedHausdorff95(),
    "matched_nsd": _MatchedSurfaceDice(),
    "dice": Dice(),
}
BY_SIZE: Final[dict[str, Metric]] = {
    "small_lesion_recall": _SmallLesionRecall(),
    "large_matched_dice": _OfLarge(),
    "large_matched_hd95_mm": _OfLargeHausdorff95(),
    "large_matched_nsd": _OfLargeSurfaceDice(),
}
IN_VOXELS: Final[dict[str, Metric]] = {
    "hd95_voxels": _WholeHausdorff95(),
    "nsd_identical": MeanSurfaceDice(tolerance_mm=0.5),
}
