"""Every registered protocol keeps the contract of `lesionlab.core.protocol.Protocol`."""

import numpy as np
import pytest

import lesionlab.protocols  # noqa: F401 (registers them)
from lesionlab.core.protocol import LabelMap, protocol

EMPTY = np.zeros((12, 11, 10), dtype=np.uint8)
LESION = EMPTY.copy()
LESION[3:8, 3:8, 3:8] = 1
NOTHING_TO_SCORE = {f"the reference has no {size} lesion" for size in ("small", "large")} | {"both masks are empty"}


@pytest.mark.parametrize("name", list(protocol))
def test_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    rules = protocol.build(name)
    assert rules.title
    assert rules.citation
    assert rules.is_legacy in (True, False)


@pytest.mark.parametrize("name", list(protocol))
@pytest.mark.parametrize(("predicted", "reference"), [(EMPTY, EMPTY), (EMPTY, LESION), (LESION, EMPTY)])
def test_an_undefined_or_ruled_score_carries_a_reason(name: str, predicted: LabelMap, reference: LabelMap) -> None:
    for score in protocol.build(name).score(predicted, reference, spacing_mm=(1.0, 1.0, 3.0)):
        assert score.reason or score.region == "background"


@pytest.mark.parametrize("name", [name for name in protocol if not name.endswith("_paper")])
def test_equal_masks_score_best(name: str) -> None:
    scores = protocol.build(name).score(LESION, LESION, spacing_mm=(1.0, 1.0, 3.0))
    assert len({(score.region, score.metric) for score in scores}) == len(scores)
    for score in scores:
        if score.is_higher_better is not None and not score.reason:
            assert score.value == float(score.is_higher_better), score
    assert "" in {score.reason for score in scores}
    assert {score.reason for score in scores} <= {""} | NOTHING_TO_SCORE, "of regions without stored value 1"


@pytest.mark.parametrize("name", list(protocol))
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32, np.float64])
def test_the_type_of_the_arrays_does_not_matter(name: str, dtype: type) -> None:
    predicted = np.roll(LESION, 1, axis=0)
    expected = protocol.build(name).score(predicted, LESION, spacing_mm=(1.0, 1.0, 3.0))
    assert protocol.build(name).score(predicted.astype(dtype), LESION.astype(dtype), spacing_mm=(1.0, 1.0, 3.0)) == (
        expected
    )
