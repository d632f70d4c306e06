"""The official scores of the stroke challenge with the ATLAS R2.0 data."""

from typing import ClassVar, Final

from lesionlab.core.labels import Labels, lesion_of
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import ANY_LESION, LabelMap, protocol
from lesionlab.metrics.lesion import LesionCountDifference, LesionF1Touched
from lesionlab.metrics.overlap import Accuracy, Dice, Precision, Recall, Specificity
from lesionlab.metrics.volume import AbsoluteVolumeDifferenceVoxels

METRICS: Final[dict[str, Metric]] = {
    "dice": Dice(both_empty=1.0),
    "volume_difference_voxels": AbsoluteVolumeDifferenceVoxels(),
    "lesion_count_difference": LesionCountDifference(neighbours=6),
    "lesion_f1": LesionF1Touched(both_empty=1.0, neighbours=6),
    "precision": Precision(predicted_empty=0.0),
    "sensitivity": Recall(reference_empty=0.0, both_empty=0.0),
    "specificity": Specificity(reference_full=0.0),
    "accuracy": Accuracy(),
}


@protocol("atlas2")
class Atlas2:
    """Everything of 0.5 and more is lesion, in both masks.

    Lesions are made of voxels that share a face (6 neighbours), unlike in other challenges; volumes are compared in
    voxels, not in ml; and precision and sensitivity of two empty masks are 0 where Dice and lesion F1 are 1.

    Differs: computed in 64 bits, where the official code has 32. Its path for single images compares the volume of the
    prediction with itself, which is always 0; these are the numbers of its path for batches, which the server takes.
    """

    title: ClassVar[str] = "ATLAS R2.0 challenge"
    citation: ClassVar[str] = (
        "Liew et al. 2022, doi:10.1038/s41597-022-01401-7; "
        "github.com/npnl/atlas2_grand_challenge at 55b9524e16e6690f8ce0310d4b064335b9547866"
    )
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = ANY_LESION

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the eight official scores of the region "lesion"."""
        pair = MaskPair(predicted=lesion_of(predicted), reference=lesion_of(reference), spacing_mm=spacing_mm)
        return score_each(METRICS, pair, region="lesion")
