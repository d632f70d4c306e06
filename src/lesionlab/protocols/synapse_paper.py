"""The scores that published scripts compute on the Synapse abdomen data, kept to reproduce papers' tables."""

from typing import ClassVar, Final

import numpy as np

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol
from lesionlab.metrics.hausdorff import Hausdorff95PooledVoxels
from lesionlab.metrics.overlap import Dice

ORGANS = 8
METRICS: Final[dict[str, Metric]] = {
    "dice": Dice(both_empty=0.0, reference_empty=1.0),
    "hd95_voxels": Hausdorff95PooledVoxels(both_empty="zero", one_empty="zero"),
}


@protocol("synapse_paper")
class SynapsePaper:
    """Stored values 1 to 8 are organs, each scored alone; a paper's figure is the mean over cases, then over organs.

    Four rules make these numbers incomparable with others: the distance is in voxels although papers print mm; an organ
    that is predicted where there is none scores perfectly (1 and 0); one that is missed gets Dice 0 but the best
    distance, so that every missed organ improves the mean; and one that is rightly absent gets Dice 0.
    """

    title: ClassVar[str] = "Synapse abdomen, published scripts"
    citation: ClassVar[str] = "The test script of TransUNet, arXiv 2102.04306, as HeteroMedSeg and many others use it"
    is_legacy: ClassVar[bool] = True
    reads: ClassVar[Labels | None] = Labels(
        regions={f"organ_{value}": frozenset({value}) for value in range(1, ORGANS + 1)}
    )

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return Dice and distance of "organ_1" to "organ_8"."""
        values = [np.rint(label).astype(np.int16) for label in (predicted, reference)]
        scores: list[Score] = []
        for organ in range(1, ORGANS + 1):
            pair = MaskPair(predicted=values[0] == organ, reference=values[1] == organ, spacing_mm=spacing_mm)
            scores += score_each(METRICS, pair, region=f"organ_{organ}")
        return tuple(scores)
