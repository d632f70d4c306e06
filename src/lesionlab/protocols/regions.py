"""What a reader of any segmentation paper expects, for every region that the data set declares."""

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from lesionlab.core.labels import LESION, Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol
from lesionlab.metrics.hausdorff import Hausdorff95Pooled
from lesionlab.metrics.lesion import LesionF1, LesionPrecision, LesionRecall, PredictedLesions, ReferenceLesions
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.volume import AbsoluteVolumeDifference, PredictedVolume, ReferenceVolume, VolumeDifference

METRICS: Final[dict[str, Metric]] = {
    "dice": Dice(both_empty=math.nan),
    "hd95_pooled_mm": Hausdorff95Pooled(both_empty="undefined", one_empty="diagonal"),
    "lesion_recall": LesionRecall(reference_empty=math.nan),
    "lesion_precision": LesionPrecision(predicted_empty=math.nan),
    "lesion_f1": LesionF1(),
    "absolute_volume_difference_ml": AbsoluteVolumeDifference(),
    "volume_difference_ml": VolumeDifference(),
    "predicted_volume_ml": PredictedVolume(),
    "reference_volume_ml": ReferenceVolume(),
    "predicted_lesions": PredictedLesions(),
    "reference_lesions": ReferenceLesions(),
}


@protocol("regions")
@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Overlap, boundary, lesions and volume per region; voxels whose reference is ignored are erased from both masks.

    A ratio over nothing is undefined. A boundary that is missed altogether is not dropped from the mean but lies one
    diagonal of the volume away: otherwise the mean distance improves with every lesion that is missed.

    Args:
        labels: What the stored values mean, in the reference and in the prediction.
    """

    title: ClassVar[str] = "Overlap, boundary, lesions and volume per region"
    citation: ClassVar[str] = "Metrics Reloaded, Maier-Hein et al. 2024, doi:10.1038/s41592-023-02151-z"
    is_legacy: ClassVar[bool] = False

    labels: Labels = LESION

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the same scores for each region in the order of `labels`."""
        counted = ~np.isin(reference, sorted(self.labels.ignored))
        scores: list[Score] = []
        for region, values in self.labels.regions.items():
            pair = MaskPair(
                predicted=np.isin(predicted, sorted(values)) & counted,
                reference=np.isin(reference, sorted(values)),
                spacing_mm=spacing_mm,
            )
            scores += score_each(METRICS, pair, region=region)
        return tuple(scores)
