"""The official scores of the WMH Segmentation Challenge 2017."""

import math
from typing import ClassVar, Final

import numpy as np

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol
from lesionlab.metrics.hausdorff import Hausdorff95Wmh
from lesionlab.metrics.lesion import LesionF1, LesionRecall
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.volume import AbsoluteVolumeDifferencePercent

METRICS: Final[dict[str, Metric]] = {
    "dsc": Dice(both_empty=math.nan),
    "hd95_mm": Hausdorff95Wmh(),
    "avd_percent": AbsoluteVolumeDifferencePercent(both_empty=math.nan, reference_empty=math.nan),
    "lesion_recall": LesionRecall(reference_empty=1.0),
    "lesion_f1": LesionF1(predicted_empty=1.0, reference_empty=1.0),
}


@protocol("wmh2017")
class Wmh2017:
    """White-matter hyperintensities are label 1 of the reference; label 2 is other pathology and takes no part.

    A prediction is lesion from 1 on if it holds integers (or bools) and from 0.5 on if it holds floats; a reference of
    floats is rounded, halves up. What is outlined in other pathology is erased before anything is counted.

    Differs: where the official script stops with an error (no reference lesion, a mask without a surface) the score is
    NaN with the reason; and a reference of integers is read like one of floats, while the official script takes the
    background of an integer reference for lesion.
    """

    title: ClassVar[str] = "WMH Segmentation Challenge 2017"
    citation: ClassVar[str] = (
        "Kuijf et al. 2019, doi:10.1109/TMI.2019.2905770; "
        "github.com/hjkuijf/wmhchallenge at 2e628cbe5a2da37d9be24d455fdaee7438adf9c5"
    )
    is_legacy: ClassVar[bool] = False
    reads: ClassVar[Labels | None] = Labels(regions={"wmh": frozenset({1})}, ignored=frozenset({2}))

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the five official scores of the region "wmh"; distances count the third axis as the slice axis."""
        values = np.floor(reference + 0.5) if np.issubdtype(reference.dtype, np.floating) else reference
        lesion, other_pathology = values == 1, values == 2
        first_lesion_value = 0.5 if np.issubdtype(predicted.dtype, np.floating) else 1
        outlined = (predicted >= first_lesion_value) & ~other_pathology
        pair = MaskPair(predicted=outlined, reference=lesion, spacing_mm=spacing_mm)
        return score_each(METRICS, pair, region="wmh")
