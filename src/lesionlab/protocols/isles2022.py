"""The official scores of the Ischemic Stroke Lesion Segmentation challenge 2022."""

from typing import ClassVar, Final

from lesionlab.core.labels import Labels, lesion_of
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import ANY_LESION, LabelMap, protocol
from lesionlab.metrics.lesion import LesionCountDifference, LesionF1Touched
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.volume import AbsoluteVolumeDifference

METRICS: Final[dict[str, Metric]] = {
    "dice": Dice(both_empty=1.0),
    "absolute_volume_difference_ml": AbsoluteVolumeDifference(),
    "lesion_count_difference": LesionCountDifference(),
    "lesion_f1": LesionF1Touched(both_empty=1.0),
}


@protocol("isles2022")
class Isles2022:
    """Everything of 0.5 and more is lesion, in both masks; lesions have 26 neighbours; two empty masks score best.

    The official code is given the volume of a voxel; here it comes from the spacing.
    """

    title: ClassVar[str] = "ISLES 2022"
    citation: ClassVar[str] = (
        "Hernandez Petzsche et al. 2022, doi:10.1038/s41597-022-01875-5; "
        "github.com/ezequieldlrosa/isles22 at 31b7c8c29ab08180ed9f55c79a66c00e1ff3bdc0"
    )
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = ANY_LESION

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the four official scores of the region "lesion"."""
        pair = MaskPair(predicted=lesion_of(predicted), reference=lesion_of(reference), spacing_mm=spacing_mm)
        return score_each(METRICS, pair, region="lesion")
