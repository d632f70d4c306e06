"""The official scores of the brain tumour challenges of 2023, adult glioma and metastases."""

from typing import ClassVar

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol
from lesionlab.metrics.lesion_wise import LesionWiseCount, LesionWiseDice, LesionWiseHausdorff95, NearbyLesions
from lesionlab.metrics.overlap import Dice, Recall, Specificity
from lesionlab.metrics.surfel import Hausdorff95Surfel
from lesionlab.metrics.volume import ReferenceVolume
from lesionlab.protocols.brats_regions import WHOLE_CORE_ENHANCING, region_pairs

CITATION = (
    "BraTS 2023, synapse.org/brats2023; "
    "github.com/rachitsaluja/BraTS-2023-Metrics at 43c905242b2eecf421d4ab2da7af8ece9777d322"
)
PENALTY_MM = 374.0
"""The diagonal of the challenge's volumes of 240 x 240 x 155 mm."""


@protocol("brats2023")
class Brats2023:
    """Adult glioma: stored values 1 necrotic core, 2 oedema and 3 enhancing; 4 of earlier years is not known here.

    Pieces of the reference whose surroundings of three steps meet are one lesion, so that gaps of up to 6 voxels are
    bridged. Lesions of up to 50 mm3 count neither as found nor as missed: a case that holds only such scores 1 even if
    all are missed. Predicted lesions have no smallest size; each that is near no lesion counts Dice 0 and 374 mm.
    """

    title: ClassVar[str] = "BraTS 2023, adult glioma"
    citation: ClassVar[str] = CITATION
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = Labels(regions=WHOLE_CORE_ENHANCING)
    lesions: ClassVar[NearbyLesions] = NearbyLesions(dilations=3, smallest_mm3=50.0)

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the official scores of WT, TC and ET."""
        pairs = region_pairs(predicted, reference, WHOLE_CORE_ENHANCING, spacing_mm=spacing_mm)
        return tuple(score for region, pair in pairs.items() for score in _scores(self.lesions, pair, region))


@protocol("brats2023_met")
class Brats2023Metastases(Brats2023):
    """Metastases: as `brats2023`, but with surroundings of one step, and lesions count from above 2 mm3."""

    title: ClassVar[str] = "BraTS 2023, metastases"
    lesions: ClassVar[NearbyLesions] = NearbyLesions(dilations=1, smallest_mm3=2.0)


def _scores(lesions: NearbyLesions, pair: MaskPair, region: str) -> tuple[Score, ...]:
    metrics: dict[str, Metric] = {
        "lesion_wise_dice": LesionWiseDice(lesions=lesions),
        "lesion_wise_hd95_mm": LesionWiseHausdorff95(lesions=lesions, penalty_mm=PENALTY_MM),
        "found_lesions": LesionWiseCount(of="found", lesions=lesions),
        "missed_lesions": LesionWiseCount(of="missed", lesions=lesions),
        "false_lesions": LesionWiseCount(of="false", lesions=lesions),
        "sensitivity": Recall(reference_empty=0.0, both_empty=1.0),
        "specificity": Specificity(reference_full=0.0),
        "dice": Dice(both_empty=1.0),
        "hd95_mm": Hausdorff95Surfel(both_empty="zero", penalty_mm=PENALTY_MM),
        "reference_volume_ml": ReferenceVolume(),
    }
    return score_each(metrics, pair, region=region)
