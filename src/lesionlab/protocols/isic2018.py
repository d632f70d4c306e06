"""The official scores of skin lesion outlines in the ISIC 2018 challenge."""

from typing import ClassVar, Final

from lesionlab.core.labels import Labels, lesion_of
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import ANY_LESION, LabelMap, protocol
from lesionlab.metrics.overlap import Accuracy, Dice, IntersectionOverUnion, Recall, Specificity

METRICS: Final[dict[str, Metric]] = {
    "thresholded_jaccard": IntersectionOverUnion(both_empty=1.0, counts_from=0.65),
    "jaccard": IntersectionOverUnion(both_empty=1.0),
    "dice": Dice(both_empty=1.0),
    "accuracy": Accuracy(),
    "sensitivity": Recall(),
    "specificity": Specificity(),
}


@protocol("isic2018")
class Isic2018:
    """Everything of 0.5 and more is lesion; a Jaccard index below 0.65 counts 0, as an outline that failed.

    Pictures are ranked by the mean of "thresholded_jaccard".
    """

    title: ClassVar[str] = "ISIC 2018, task 1"
    citation: ClassVar[str] = "Codella et al. 2019, arXiv 1902.03368"
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = ANY_LESION

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the scores of the region "lesion"."""
        pair = MaskPair(predicted=lesion_of(predicted), reference=lesion_of(reference), spacing_mm=spacing_mm)
        return score_each(METRICS, pair, region="lesion")
