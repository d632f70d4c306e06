"""The lesions of a case as rows of a table."""

from lesionlab.core.case import Case
from lesionlab.core.labels import Labels
from lesionlab.core.lesion_table import LesionRow, Side
from lesionlab.core.metric import MaskPair, Spacing
from lesionlab.core.protocol import LabelMap
from lesionlab.metrics.lesion_list import score_lesions


def list_lesions(
    case: Case, predicted: LabelMap, reference: LabelMap, *, labels: Labels, spacing_mm: Spacing
) -> list[LesionRow]:
    """Return every lesion of both masks, region by region; voxels whose reference is ignored are erased first."""
    counted = ~labels.ignored_of(reference)
    masks = zip(labels.names, labels.regions_of(predicted), labels.regions_of(reference), strict=True)
    rows = []
    for region, predicted_mask, reference_mask in masks:
        pair = MaskPair(predicted=predicted_mask & counted, reference=reference_mask, spacing_mm=spacing_mm)
        sides: tuple[Side, Side] = ("predicted", "reference")
        for side, scores in zip(sides, score_lesions(pair), strict=True):
            rows += [
                LesionRow(
                    case=case.id,
                    group=case.group,
                    site=case.site,
                    region=region,
                    side=side,
                    number=number,
                    volume_mm3=float(volume_mm3),
                    is_touched=bool(dice > 0),
                    dice=float(dice),
                )
                for number, (volume_mm3, dice) in enumerate(zip(scores.volume_mm3, scores.dice, strict=True), start=1)
            ]
    return rows
