import numpy as np
import pytest

from lesionlab.core.metric import MaskPair
from lesionlab.metrics.lesion_list import score_lesions


def pair_of(predicted: list[int], reference: list[int]) -> MaskPair:
    """Masks of one line of voxels of 2 mm3."""
    masks = [np.array(line, dtype=bool)[:, None, None] for line in (predicted, reference)]
    return MaskPair(predicted=masks[0], reference=masks[1], spacing_mm=(2.0, 1.0, 1.0))


def test_each_lesion_has_its_volume_and_its_dice_with_what_touches_it() -> None:
    pair = pair_of(
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1],
        [1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0],
    )
    predicted, reference = score_lesions(pair)
    assert predicted.volume_mm3.tolist() == [10, 4]
    assert predicted.dice == pytest.approx([2 * 4 / (5 + 4), 0])  # it covers two lesions of the reference
    assert reference.volume_mm3.tolist() == [4, 4, 4]
    assert reference.dice == pytest.approx([2 * 2 / (2 + 5), 2 * 2 / (2 + 5), 0])


def test_an_empty_mask_has_no_lesion() -> None:
    predicted, reference = score_lesions(pair_of([0, 0, 0], [0, 1, 0]))
    assert (predicted.volume_mm3.size, predicted.dice.size) == (0, 0)
    assert reference.dice.tolist() == [0]
    assert all(part.volume_mm3.size == 0 for part in score_lesions(pair_of([0, 0], [0, 0])))


def test_exchanging_the_masks_exchanges_the_lists() -> None:
    masks = np.random.default_rng(0).random((2, 12, 12, 6)) < 0.2
    forth = score_lesions(MaskPair(predicted=masks[0], reference=masks[1], spacing_mm=(1.0, 1.0, 1.0)))
    back = score_lesions(MaskPair(predicted=masks[1], reference=masks[0], spacing_mm=(1.0, 1.0, 1.0)))
    for one, other in zip(forth, back[::-1], strict=True):
        assert np.array_equal(one.dice, other.dice)
        assert np.array_equal(one.volume_mm3, other.volume_mm3)
