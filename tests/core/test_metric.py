import math

import numpy as np
import pytest

from lesionlab.core.metric import Mask, MaskPair, score_each
from lesionlab.metrics.hausdorff import Hausdorff95Wmh
from lesionlab.metrics.overlap import Dice


def block(*corner: int, size: int = 2, shape: tuple[int, int, int] = (8, 9, 10)) -> Mask:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(start, start + size) for start in corner)] = True
    return mask


def pair_of(predicted: Mask, reference: Mask) -> MaskPair:
    return MaskPair(predicted=predicted, reference=reference, spacing_mm=(1.0, 2.0, 3.0))


def test_box_holds_both_masks_and_nothing_more() -> None:
    pair = pair_of(block(1, 2, 3), block(4, 2, 8))
    assert (pair.box.start, pair.box.stop) == ((1, 2, 3), (6, 4, 10))


def test_crop_keeps_one_voxel_of_margin_where_there_is_one() -> None:
    predicted, reference = pair_of(block(1, 2, 3), block(4, 2, 8)).cropped
    assert predicted.shape == reference.shape == (7, 4, 8)
    assert (predicted.sum(), reference.sum()) == (8, 8)


@pytest.mark.parametrize(
    ("predicted", "reference", "words"),
    [
        (block(0, 0, 0), block(1, 1, 1), ""),
        (block(0, 0, 0, size=0), block(1, 1, 1), "the prediction is empty"),
        (block(0, 0, 0), block(1, 1, 1, size=0), "the reference is empty"),
        (block(0, 0, 0, size=0), block(0, 0, 0, size=0), "both masks are empty"),
    ],
)
def test_emptiness_names_the_empty_mask(predicted: Mask, reference: Mask, words: str) -> None:
    assert pair_of(predicted, reference).emptiness == words


def test_voxels_and_volume() -> None:
    pair = pair_of(block(1, 1, 1), block(2, 1, 1, size=3))
    assert (pair.predicted_voxels, pair.reference_voxels, pair.shared_voxels) == (8, 27, 4)
    assert pair.voxel_ml == pytest.approx(0.006)


def test_a_shared_part_is_computed_once() -> None:
    calls = []

    def part(pair: MaskPair) -> int:
        calls.append(pair)
        return len(calls)

    pair = pair_of(block(0, 0, 0), block(0, 0, 0))
    assert [pair.once(part), pair.once(part)] == [1, 1]


def test_scores_carry_their_reason() -> None:
    empty = block(0, 0, 0, size=0)
    (score,) = score_each({"dsc": Dice()}, pair_of(empty, empty), region="wmh")
    assert (score.metric, score.region, score.reason, score.is_defined) == ("dsc", "wmh", "both masks are empty", False)
    (score,) = score_each({"dsc": Dice()}, pair_of(block(0, 0, 0), block(0, 0, 0)), region="wmh")
    assert (score.value, score.reason) == (1.0, "")


def test_an_undefined_score_of_full_masks_says_why() -> None:
    full = np.ones((4, 4, 2), dtype=bool)
    (score,) = score_each({"hd95": Hausdorff95Wmh()}, pair_of(full, full), region="wmh")
    assert math.isnan(score.value)
    assert "no surface" in score.reason
