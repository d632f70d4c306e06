"""The scores that the published ATLAS notebooks compute, kept to reproduce their tables."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Metric, Score, Spacing, score_each
from lesionlab.core.protocol import LabelMap, protocol

REGIONS: Final[dict[str, int]] = {"background": 0, "main": 1, "sub": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class _MeanSliceDice:
    """Mean over slices (axis z) of Dice with 1e-5 added below the line; a slice that is empty in both masks gives 0."""

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        shared = np.count_nonzero(pair.predicted & pair.reference, axis=(0, 1))
        voxels = np.count_nonzero(pair.predicted, axis=(0, 1)) + np.count_nonzero(pair.reference, axis=(0, 1))
        return float(np.mean(2 * shared / (voxels + 1e-5)))


METRICS: Final[dict[str, Metric]] = {"mean_slice_dice": _MeanSliceDice()}


@protocol("atlas_notebook_paper")
class AtlasNotebookPaper:
    """Dice per slice of background (0), main lesion (1) and further lesions (2), averaged over all slices of a case.

    A slice without lesion scores 0 even where nothing was predicted, so that a perfect outline of a small lesion has a
    score near 0, and the score says more about how many slices show a lesion than about the outline.

    Differs: the notebooks average over the slices of all cases at once; here each case has its mean.
    """

    title: ClassVar[str] = "ATLAS notebooks, published"
    citation: ClassVar[str] = "The test cells of the ATLAS U-Net, SegNet and ResUNet notebooks"
    is_legacy: ClassVar[bool] = True
    reads: ClassVar[Labels | None] = Labels(regions={"main": frozenset({1}), "sub": frozenset({2})})

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Return the score of "background", "main" and "sub"."""
        values = [np.rint(label).astype(np.int16) for label in (predicted, reference)]
        scores: list[Score] = []
        for region, value in REGIONS.items():
            pair = MaskPair(predicted=values[0] == value, reference=values[1] == value, spacing_mm=spacing_mm)
            scores += score_each(METRICS, pair, region=region)
        return tuple(scores)
