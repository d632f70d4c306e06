"""The default: lesions as instances, outline, boundary and volume, for every region that the data set declares."""

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from lesionlab.core.labels import LESION, Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol
from lesionlab.metrics.hausdorff import Hausdorff95Max
from lesionlab.metrics.lesion import (
    FalsePositiveLesions,
    LesionF1,
    LesionPrecision,
    LesionRecall,
    PredictedLesions,
    ReferenceLesions,
)
from lesionlab.metrics.lesion_match import LesionRecognition, OneToOne, PanopticQuality
from lesionlab.metrics.mean_distance import PooledMeanDistance
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.surface_dice import SurfaceDice
from lesionlab.metrics.volume import AbsoluteVolumeDifference, PredictedVolume, ReferenceVolume, VolumeDifference

METRICS: Final[dict[str, Metric]] = {
    "dice": Dice(),
    "nsd_2mm": SurfaceDice(tolerance_mm=2.0),
    "hd95_mm": Hausdorff95Max(one_empty="diagonal"),
    "hd95_if_both_mm": Hausdorff95Max(),
    "assd_mm": PooledMeanDistance(one_empty="diagonal"),
    "lesion_recall": LesionRecall(reference_empty=math.nan),
    "lesion_precision": LesionPrecision(predicted_empty=math.nan),
    "lesion_f1": LesionF1(),
    "lesion_f1_iou_0.1": LesionRecognition(matching=OneToOne(by="iou", at_least=0.1)),
    "lesion_f1_iou_0.5": LesionRecognition(matching=OneToOne(by="iou", at_least=0.5)),
    "panoptic_dice": PanopticQuality(matching=OneToOne(by="iou", at_least=0.1)),
    "false_positive_lesions": FalsePositiveLesions(),
    "absolute_volume_difference_ml": AbsoluteVolumeDifference(),
    "volume_difference_ml": VolumeDifference(),
    "predicted_volume_ml": PredictedVolume(),
    "reference_volume_ml": ReferenceVolume(),
    "predicted_lesions": PredictedLesions(),
    "reference_lesions": ReferenceLesions(),
}


@protocol("lesionlab")
@dataclass(frozen=True, slots=True, kw_only=True)
class Lesionlab:
    """What Metrics Reloaded advises for lesions: many small ones are objects to be found before they are an outline.

    A lesion has 26 neighbours and is found by any voxel ("lesion_recall", "lesion_f1"), or matched one to one from an
    intersection over union of 0.1 or 0.5 on ("lesion_f1_iou_0.1"). A ratio over nothing is undefined. A boundary that
    is missed altogether is not dropped from the mean but lies one diagonal of the volume away: otherwise the mean
    distance improves with every lesion that is missed. "hd95_if_both_mm" leaves such cases out and stands beside it, so
    that both the penalised mean and the number of cases it rests on can be read.

    Voxels whose reference is ignored are erased from both masks. An image of one slice is a picture: its outline is
    sought in the plane.

    Args:
        labels: What the stored values mean, in the reference and in the prediction.
    """

    title: ClassVar[str] = "lesionlab: lesions, outline, boundary and volume per region"
    citation: ClassVar[str] = "Metrics Reloaded, Maier-Hein et al. 2024, doi:10.1038/s41592-023-02151-z"
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = None

    labels: Labels = LESION

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the same scores for each region in the order of `labels`."""
        counted = ~self.labels.ignored_of(reference)
        masks = zip(
            self.labels.names, self.labels.regions_of(predicted), self.labels.regions_of(reference), strict=True
        )
        scores: list[Score] = []
        for region, predicted_mask, reference_mask in masks:
            pair = MaskPair(
                predicted=predicted_mask & counted,
                reference=reference_mask,
                spacing_mm=spacing_mm,
                is_picture=reference.shape[2] == 1,
            )
            scores += score_each(METRICS, pair, region=region)
        return tuple(scores)
