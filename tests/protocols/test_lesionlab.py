import math

import numpy as np
import pytest

from lesionlab.core.labels import Labels
from lesionlab.core.protocol import protocol
from lesionlab.protocols.lesionlab import Lesionlab

TUMOUR = Labels(regions={"WT": frozenset({1, 2, 3}), "ET": frozenset({3})}, ignored=frozenset({9}))


def test_scores_each_declared_region() -> None:
    reference = np.zeros((8, 8, 4), dtype=np.uint8)
    reference[1:5, 1:5, 1:3], reference[2, 2, 1] = 2, 3
    predicted = np.where(reference == 3, 2, reference)
    scores = {
        (score.region, score.metric): score
        for score in Lesionlab(labels=TUMOUR).score(predicted, reference, spacing_mm=(1.0, 1.0, 2.0))
    }
    assert scores["WT", "dice"].value == 1.0
    assert scores["ET", "dice"].value == 0.0
    assert scores["ET", "hd95_mm"].value == pytest.approx(math.sqrt(49 + 49 + 36))
    assert scores["ET", "hd95_mm"].reason == "the prediction is empty"
    assert scores["WT", "reference_volume_ml"].value == pytest.approx(32 * 2 / 1000)


def test_ignored_voxels_count_in_neither_mask() -> None:
    reference = np.zeros((8, 8, 4), dtype=np.uint8)
    reference[1:3, 1:3, 1], reference[5:7, 5:7, 1] = 1, 9
    predicted = (reference > 0).astype(np.uint8)
    scores = Lesionlab(labels=TUMOUR).score(predicted, reference, spacing_mm=(1.0, 1.0, 1.0))
    assert scores[0].value == 1.0


def test_is_built_with_the_labels_of_the_data_set() -> None:
    built = protocol.build("lesionlab", labels=TUMOUR)
    assert built == Lesionlab(labels=TUMOUR)
