"""The scores that the published SYNAPSE-Net scripts compute, kept to reproduce the paper's tables."""

from dataclasses import replace
from typing import ClassVar, Final

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import ANY_LESION, LabelMap, protocol
from lesionlab.metrics.hausdorff import Hausdorff95PooledVoxels
from lesionlab.metrics.lesion import LesionF1Touched, LesionRecall
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.volume import AbsoluteVolumeDifferencePercent
from lesionlab.protocols.brats_regions import WHOLE_CORE_ENHANCING, region_pairs

METRICS: Final[dict[str, Metric]] = {
    "dsc": Dice(both_empty=1.0),
    "hd95_voxels": Hausdorff95PooledVoxels(both_empty="zero", one_empty="zero"),
    "lesion_f1": LesionF1Touched(both_empty=1.0),
    "lesion_recall": LesionRecall(reference_empty=1.0),
    "avd_percent": AbsoluteVolumeDifferencePercent(both_empty=0.0, reference_empty=500.0),
}


@protocol("synapse_net_paper")
class SynapseNetPaper:
    """Everything above 0.5 is lesion, in both masks: label 2 of the WMH data ("other pathology") counts.

    Three rules make these numbers incomparable with a challenge's: the 95 % Hausdorff distance is in voxels although
    the scripts head the column "(mm)"; it is 0, the best value, where one mask is empty, so that a missed lesion
    scores perfectly; and a volume difference from nothing is 500 %.
    """

    title: ClassVar[str] = "SYNAPSE-Net, published scripts"
    citation: ClassVar[str] = "arXiv 2510.26961; the WMH evaluation script of mubid-01/SYNAPSE-Net at e05116a"
    is_legacy: ClassVar[bool] = True
    reads: ClassVar[Labels | None] = replace(ANY_LESION, ignored=frozenset({2}))

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the five published scores of the region "lesion"."""
        pair = MaskPair(predicted=predicted > 0.5, reference=reference > 0.5, spacing_mm=spacing_mm)
        return score_each(METRICS, pair, region="lesion")


BRATS_METRICS: Final[dict[str, Metric]] = {
    "dsc": Dice(both_empty=1.0),
    "hd95_voxels": Hausdorff95PooledVoxels(both_empty="zero", one_empty="diagonal"),
}


@protocol("synapse_net_brats_paper")
class SynapseNetBratsPaper:
    """Stored values 1 core, 2 oedema, 3 enhancing; each region as a whole, distances in voxels.

    One empty mask lies one diagonal of the volume away, unlike in `synapse_net_paper`, where it scores perfectly.
    """

    title: ClassVar[str] = "SYNAPSE-Net, published BraTS scripts"
    citation: ClassVar[str] = "arXiv 2510.26961; the BraTS evaluation script of mubid-01/SYNAPSE-Net at e05116a"
    is_legacy: ClassVar[bool] = True
    reads: ClassVar[Labels | None] = Labels(regions=WHOLE_CORE_ENHANCING)

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return both scores of WT, TC and ET."""
        pairs = region_pairs(predicted, reference, WHOLE_CORE_ENHANCING, spacing_mm=spacing_mm)
        return tuple(
            score for region, pair in pairs.items() for score in score_each(BRATS_METRICS, pair, region=region)
        )
