"""The official scores of the brain tumour challenges of 2024: glioma after treatment, and metastases."""

import math
from dataclasses import replace
from typing import ClassVar, Final

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol
from lesionlab.metrics.lesion_wise import (
    LesionWiseCount,
    LesionWiseDice,
    LesionWiseHausdorff95,
    LesionWiseSurfaceDice,
    NearbyLesions,
)
from lesionlab.metrics.volume import ReferenceVolume
from lesionlab.protocols.brats2024_whole import score_whole
from lesionlab.protocols.brats_regions import WHOLE_CORE_ENHANCING, region_pairs

CITATION = (
    "BraTS 2024, synapse.org/brats2024; "
    "github.com/rachitsaluja/BraTS-2024-Metrics at f1131e340e155908553c226675644a6363b998b7"
)
GLIOMA_PENALTY_MM = 337.0
GLIOMA_REGIONS: Final[dict[str, frozenset[int]]] = {
    **WHOLE_CORE_ENHANCING,
    "NETC": frozenset({1}),
    "SNFH": frozenset({2}),
    "RC": frozenset({4}),
}
METASTASES_REGIONS: Final[dict[str, frozenset[int]]] = {**WHOLE_CORE_ENHANCING, "RC": frozenset({4})}

_NEAR = NearbyLesions(dilations=3, smallest_mm3=20.0, merges_predicted=True, smallest_predicted_voxels=20)
_FAR = replace(_NEAR, dilations=5)
_ENHANCING = replace(_NEAR, smallest_mm3=10.0, smallest_predicted_voxels=10)
_METASTASES = NearbyLesions(dilations=1, smallest_mm3=2.0, merges_predicted=True, smallest_predicted_voxels=2)


@protocol("brats2024_gli")
class Brats2024Glioma:
    """Stored values 1 non-enhancing core, 2 surrounding change (SNFH), 3 enhancing, 4 resection cavity (RC).

    Pieces of either mask whose surroundings of three steps (NETC and RC: five) meet are one lesion. Lesions of up to
    20 mm3 (ET: 10) do not count, and predicted ones of up to 20 voxels (ET: 10) are erased. A missed or false lesion
    counts 0, and 337 mm. SNFH keeps three steps where five were meant: the official code misspells it.

    The scores of the whole region, "sensitivity", "specificity" and "hd95_mm", repeat a fault of the official code,
    which computes them on the numbers of lesions instead of on masks: for a case of several lesions they mean little,
    and sensitivity can be 0 for a perfect outline. They are kept so that published columns can be reproduced.

    Differs: in which order the official code numbers pieces of one tissue was found from its results, not from its
    text; only those three scores of cases with several lesions depend on it.
    """

    title: ClassVar[str] = "BraTS 2024, glioma after treatment"
    citation: ClassVar[str] = CITATION
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = Labels(regions=GLIOMA_REGIONS)

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the official scores of WT, TC, ET, NETC, SNFH and RC."""
        pairs = region_pairs(predicted, reference, GLIOMA_REGIONS, spacing_mm=spacing_mm)
        rules = {"ET": _ENHANCING, "NETC": _FAR, "RC": _FAR}
        scores: list[Score] = []
        for region, pair in pairs.items():
            lesions = rules.get(region, _NEAR)
            scores += _scores(pair, lesions, region, penalty_mm=GLIOMA_PENALTY_MM)
            scores += score_whole(pair, lesions, region, pairs=pairs, penalty_mm=GLIOMA_PENALTY_MM)
        return tuple(scores)


@protocol("brats2024_met")
class Brats2024Metastases:
    """As `brats2024_gli`, with surroundings of one step, and lesions count from above 2 mm3.

    The penalty for a missed or false lesion is the diagonal of the volume, in voxels although it is added to mm. The
    same three scores of the whole region repeat the same fault.
    """

    title: ClassVar[str] = "BraTS 2024, metastases"
    citation: ClassVar[str] = CITATION
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = Labels(regions=METASTASES_REGIONS)

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the official scores of WT, TC, ET and RC."""
        pairs = region_pairs(predicted, reference, METASTASES_REGIONS, spacing_mm=spacing_mm)
        tissues = region_pairs(predicted, reference, GLIOMA_REGIONS, spacing_mm=spacing_mm)
        penalty_mm = math.hypot(*predicted.shape)
        scores: list[Score] = []
        for region, pair in pairs.items():
            scores += _scores(pair, _METASTASES, region, penalty_mm=penalty_mm)
            scores += score_whole(pair, _METASTASES, region, pairs=tissues, penalty_mm=penalty_mm)
        return tuple(scores)


def _scores(pair: MaskPair, lesions: NearbyLesions, region: str, *, penalty_mm: float) -> tuple[Score, ...]:
    metrics: dict[str, Metric] = {
        "lesion_wise_dice": LesionWiseDice(lesions=lesions),
        "lesion_wise_hd95_mm": LesionWiseHausdorff95(lesions=lesions, penalty_mm=penalty_mm),
        "lesion_wise_nsd_0.5mm": LesionWiseSurfaceDice(lesions=lesions, tolerance_mm=0.5),
        "lesion_wise_nsd_1mm": LesionWiseSurfaceDice(lesions=lesions, tolerance_mm=1.0),
        "found_lesions": LesionWiseCount(of="found", lesions=lesions),
        "missed_lesions": LesionWiseCount(of="missed", lesions=lesions),
        "false_lesions": LesionWiseCount(of="false", lesions=lesions),
        "reference_volume_ml": ReferenceVolume(),
    }
    return score_each(metrics, pair, region=region)
