"""The scores that the published SG-Net notebook computes, kept to reproduce its table."""

from dataclasses import dataclass
from typing import ClassVar, Final

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import ANY_LESION, LabelMap, protocol
from lesionlab.metrics.hausdorff import Hausdorff95MaxVoxels
from lesionlab.metrics.overlap import Dice, Recall

EMPTY_VOXELS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _SmoothPrecision:
    """Fraction of predicted voxels that are right, with 1e-5 added to their number; 0 for an empty prediction."""

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        return pair.shared_voxels / (pair.predicted_voxels + 1e-5)


METRICS: Final[dict[str, Metric]] = {
    "dice": Dice(),
    "hd95_voxels": Hausdorff95MaxVoxels(empty_voxels=EMPTY_VOXELS),
    "recall": Recall(),
    "f1": Dice(),
    "precision": _SmoothPrecision(),
}


@protocol("sg_net_paper")
class SgNetPaper:
    """Everything above 0.5 is lesion. "f1" is Dice once more: the notebook counts voxels, not lesions.

    The distance is in voxels and is 20 wherever a mask is empty. Beside the means of 56 to 158 that the notebook
    prints, 20 is a reward for predicting nothing.
    """

    title: ClassVar[str] = "SG-Net, published notebook"
    citation: ClassVar[str] = "The evaluation cells of the SG-Net notebook"
    is_legacy: ClassVar[bool] = True
    reads: ClassVar[Labels | None] = ANY_LESION

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the five scores of the region "lesion"."""
        pair = MaskPair(predicted=predicted > 0.5, reference=reference > 0.5, spacing_mm=spacing_mm)
        return score_each(METRICS, pair, region="lesion")
