import math

import numpy as np
import pytest

import lesionlab.metrics.lesion  # noqa: F401 (registers them)
from lesionlab.core.metric import Mask, MaskPair, metric


def line(*voxels: int) -> Mask:
    mask = np.zeros((12, 1, 1), dtype=bool)
    mask[list(voxels)] = True
    return mask


def scored(name: str, predicted: Mask, reference: Mask) -> float:
    return metric.build(name)(MaskPair(predicted=predicted, reference=reference, spacing_mm=(1.0, 1.0, 1.0)))


def test_the_two_conventions_differ_where_one_prediction_covers_two_lesions() -> None:
    predicted, reference = line(0, 1, 2, 3, 4, 8), line(0, 4, 11)  # 2 of 3 found, 1 of 2 predicted is real
    assert scored("lesion_recall", predicted, reference) == pytest.approx(2 / 3)
    assert scored("lesion_precision", predicted, reference) == pytest.approx(1 / 2)
    assert scored("lesion_f1", predicted, reference) == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert scored("lesion_f1_touched", predicted, reference) == pytest.approx(4 / (4 + 1 + 1))
    assert (scored("predicted_lesions", predicted, reference), scored("reference_lesions", predicted, reference)) == (
        2.0,
        3.0,
    )


def test_a_corner_joins_two_voxels_into_one_lesion() -> None:
    mask = np.zeros((2, 2, 2), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert scored("reference_lesions", mask, mask) == 1.0


def test_a_line_of_voxels_is_counted() -> None:
    mask = np.array([[[True, False, True]]])
    assert scored("reference_lesions", mask, mask) == 2.0


def test_empty_masks_follow_the_policy() -> None:
    empty, one = line(), line(3)
    assert [scored(name, empty, empty) for name in ("lesion_recall", "lesion_f1", "lesion_f1_touched")] == [1.0] * 3
    assert [scored(name, empty, one) for name in ("lesion_recall", "lesion_f1", "lesion_f1_touched")] == [0.0] * 3
    assert [scored(name, one, empty) for name in ("lesion_precision", "lesion_f1", "lesion_f1_touched")] == [0.0] * 3
    undefined = metric.build("lesion_recall", reference_empty=math.nan)
    assert math.isnan(undefined(MaskPair(predicted=one, reference=empty, spacing_mm=(1.0, 1.0, 1.0))))


def test_voxels_that_share_an_edge_are_one_lesion_or_two() -> None:
    mask = np.zeros((3, 3, 1), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 0] = True
    pair = MaskPair(predicted=mask, reference=np.zeros_like(mask), spacing_mm=(1.0, 1.0, 1.0))
    assert metric.build("lesion_count_difference")(pair) == 1.0
    assert metric.build("lesion_count_difference", neighbours=6)(pair) == 2.0
    assert metric.build("false_positive_lesions")(pair) == 1.0
