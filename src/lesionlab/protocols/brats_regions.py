"""The regions of the brain tumour challenges, and what their protocols share."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from lesionlab.core.labels import Labels
from lesionlab.core.metric import MaskPair, Spacing
from lesionlab.core.protocol import LabelMap

WHOLE_CORE_ENHANCING: Final[dict[str, frozenset[int]]] = {
    "WT": frozenset({1, 2, 3}),
    "TC": frozenset({1, 3}),
    "ET": frozenset({3}),
}
"""Whole tumour, tumour core and enhancing tumour, since 2023: 1 necrotic core, 2 oedema, 3 enhancing."""


def region_pairs(
    predicted: LabelMap, reference: LabelMap, regions: Mapping[str, frozenset[int]], *, spacing_mm: Spacing
) -> dict[str, MaskPair]:
    """Return one pair of masks per region."""
    labels = Labels(regions=dict(regions))
    masks = (labels.regions_of(_whole_numbers(label)) for label in (predicted, reference))
    return {
        region: MaskPair(predicted=predicted_mask, reference=reference_mask, spacing_mm=spacing_mm)
        for region, predicted_mask, reference_mask in zip(labels.names, *masks, strict=True)
    }


def _whole_numbers(label: LabelMap) -> LabelMap:
    """Return the label map in whole numbers."""
    whole: LabelMap = np.rint(label).astype(np.int16)
    return whole
