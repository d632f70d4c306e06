from pathlib import Path

import pytest
from official_values import near, official_cases, scored

import lesionlab.protocols  # noqa: F401 (registers them)
from lesionlab.core.protocol import protocol

ISLES = {
    "dice": "dice",
    "absolute_volume_difference_ml": "abs_volume_difference_ml",
    "lesion_count_difference": "abs_lesion_count_difference",
    "lesion_f1": "lesion_f1",
}
ATLAS = {
    "dice": "dice",
    "volume_difference_voxels": "volume_difference_voxels",
    "lesion_count_difference": "simple_lesion_count_difference",
    "lesion_f1": "lesion_f1",
    "precision": "precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
}


@pytest.mark.parametrize(
    ("name", "implementation", "official_names", "tolerance"),
    [
        ("isles2022", "isles22", ISLES, 1e-6),
        ("isles2022", "isles22d", ISLES, 1e-6),
        ("atlas2", "atlas", ATLAS, 1e-4),  # the official code has 32 bits
    ],
)
def test_equals_the_official_code(
    oracles: Path, name: str, implementation: str, official_names: dict[str, str], tolerance: float
) -> None:
    cases = list(official_cases(oracles, implementation))
    assert len(cases) == 34
    for official in cases:
        scores = scored(protocol.build(name), official)
        assert {metric for _, metric in scores} == set(official_names)
        for (_, metric), value in scores.items():
            assert value == near(official.values[official_names[metric]], tolerance=tolerance), (official.case, metric)
