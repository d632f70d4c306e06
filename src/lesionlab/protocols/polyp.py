"""The scores that papers on polyps and skin lesions report per picture."""

from typing import ClassVar, Final

from lesionlab.core.labels import Labels, lesion_of
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import ANY_LESION, LabelMap, protocol
from lesionlab.metrics.overlap import Accuracy, Dice, IntersectionOverUnion, Precision, Recall, Specificity

METRICS: Final[dict[str, Metric]] = {
    "dice_smooth1": Dice(smooth_voxels=1.0),
    "iou_smooth1": IntersectionOverUnion(smooth_voxels=1.0),
    "dice": Dice(),
    "iou": IntersectionOverUnion(),
    "accuracy": Accuracy(),
    "precision": Precision(),
    "sensitivity": Recall(),
    "specificity": Specificity(),
}


@protocol("polyp")
class Polyp:
    """Everything of 0.5 and more is lesion. The mean over pictures of "dice_smooth1" is a paper's mDice.

    One pixel is added above and below the line of Dice and IoU, as published scripts do (HeteroMedSeg's for ISIC and
    CVC-ClinicDB among them): two empty masks give 1, and a small false outline beside an empty reference nearly 0. The
    same without that pixel stands beside it.
    """

    title: ClassVar[str] = "Polyps and skin lesions, published scripts"
    citation: ClassVar[str] = "Mean Dice and IoU per picture as in PraNet, arXiv 2006.11392, and HeteroMedSeg"
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = ANY_LESION

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the scores of the region "lesion"."""
        pair = MaskPair(predicted=lesion_of(predicted), reference=lesion_of(reference), spacing_mm=spacing_mm)
        return score_each(METRICS, pair, region="lesion")
