"""The scores of the brain tumour challenge of 2020."""

from typing import ClassVar, Final

from lesionlab.core.labels import Labels
from lesionlab.core.metric import Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol
from lesionlab.metrics.overlap import Dice, Recall, Specificity
from lesionlab.metrics.surfel import Hausdorff95Surfel
from lesionlab.protocols.brats_regions import region_pairs

PENALTY_MM = 373.1287
"""The diagonal of the challenge's volumes between the centres of corner voxels."""
REGIONS: Final[dict[str, frozenset[int]]] = {
    "WT": frozenset({1, 2, 4}),
    "TC": frozenset({1, 4}),
    "ET": frozenset({4}),
}
METRICS: Final[dict[str, Metric]] = {
    "dice": Dice(both_empty=1.0),
    "hd95_mm": Hausdorff95Surfel(both_empty="zero", penalty_mm=PENALTY_MM),
    "sensitivity": Recall(reference_empty=0.0, both_empty=1.0),
    "specificity": Specificity(),
}


@protocol("brats2020")
class Brats2020:
    """Stored values 1 necrotic core, 2 oedema and 4 enhancing; each region is scored as a whole.

    Two empty masks score best; one empty mask gives Dice 0 and 373.1287 mm.

    Differs: the challenge's server was never published. Distances follow `hd95_surfel`, as in 2023.
    """

    title: ClassVar[str] = "BraTS 2020"
    citation: ClassVar[str] = "Bakas et al. 2018, arXiv 1811.02629; med.upenn.edu/cbica/brats2020"
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = Labels(regions=REGIONS)

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the four scores of WT, TC and ET."""
        pairs = region_pairs(predicted, reference, REGIONS, spacing_mm=spacing_mm)
        return tuple(score for region, pair in pairs.items() for score in score_each(METRICS, pair, region=region))
