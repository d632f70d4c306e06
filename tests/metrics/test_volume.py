import math

import numpy as np
import pytest

import lesionlab.metrics.volume  # noqa: F401 (registers them)
from lesionlab.core.metric import MaskPair, metric


def pair_of(predicted_voxels: int, reference_voxels: int) -> MaskPair:
    flat = np.arange(1000).reshape(10, 10, 10)
    return MaskPair(predicted=flat < predicted_voxels, reference=flat < reference_voxels, spacing_mm=(1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("predicted_volume_ml", 0.9),
        ("reference_volume_ml", 1.2),
        ("volume_difference_ml", -0.3),
        ("absolute_volume_difference_ml", 0.3),
        ("avd_percent", 25.0),
    ],
)
def test_volumes_of_150_and_200_voxels_of_6_mm3(name: str, value: float) -> None:
    assert metric.build(name)(pair_of(150, 200)) == pytest.approx(value)


def test_percent_of_nothing_follows_the_policy() -> None:
    legacy = metric.build("avd_percent", both_empty=0.0, reference_empty=500.0)
    assert (legacy(pair_of(0, 0)), legacy(pair_of(1, 0)), legacy(pair_of(0, 5))) == (0.0, 500.0, 100.0)
    assert math.isnan(metric.build("avd_percent")(pair_of(1, 0)))
