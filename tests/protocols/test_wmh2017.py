import json
import math
from pathlib import Path

import numpy as np
import pytest

from lesionlab.core.metric import Score
from lesionlab.core.protocol import LabelMap
from lesionlab.protocols.wmh2017 import Wmh2017

TOLERANCE = {"hd95_mm": 1e-4}  # the official script keeps spacing in 32 bits


def by_metric(predicted: LabelMap, reference: LabelMap, spacing: list[float]) -> dict[str, Score]:
    x, y, z = spacing
    return {score.metric: score for score in Wmh2017().score(predicted, reference, spacing_mm=(x, y, z))}


@pytest.mark.parametrize("reference_type", [np.uint8, np.float32])
def test_equals_the_official_script(oracles: Path, reference_type: type) -> None:
    expected = json.loads((oracles / "expected" / "wmh.json").read_text())
    assert len(expected) == 36
    for case, values in expected.items():
        masks = np.load(oracles / f"{case}.npz")
        scores = by_metric(masks["pred"], masks["gt"].astype(reference_type), masks["spacing"].tolist())
        assert list(scores) == list(values)
        for metric, value in values.items():
            if isinstance(value, str):  # "nan", or "error:..." where the script raises
                assert math.isnan(scores[metric].value), (case, metric)
                assert scores[metric].reason, (case, metric)
            else:
                near = pytest.approx(value, abs=TOLERANCE.get(metric, 1e-6), rel=1e-6)
                assert scores[metric].value == near, (case, metric)


def test_other_pathology_takes_no_part() -> None:
    reference = np.zeros((8, 8, 4), dtype=np.uint8)
    reference[1:3, 1:3, 1], reference[5:7, 5:7, 2] = 1, 2
    predicted = (reference > 0).astype(np.uint8)
    assert by_metric(predicted, reference, [1.0, 1.0, 3.0])["dsc"].value == 1.0
    assert by_metric(predicted, reference, [1.0, 1.0, 3.0])["lesion_f1"].value == 1.0


def test_a_float_prediction_is_lesion_from_one_half_on() -> None:
    reference = np.zeros((4, 4, 1), dtype=np.uint8)
    reference[1, 1, 0] = 1
    assert by_metric(reference * np.float32(0.5), reference, [1.0, 1.0, 1.0])["dsc"].value == 1.0
    assert by_metric(reference * np.float32(0.49), reference, [1.0, 1.0, 1.0])["dsc"].value == 0.0
