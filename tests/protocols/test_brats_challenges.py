from pathlib import Path
from typing import Any

import numpy as np
import pytest
from official_values import Official, near, official_cases, scored

import lesionlab.protocols  # noqa: F401 (registers them)
from lesionlab.core.protocol import LabelMap, protocol

NAMES = {
    "found_lesions": "Num_TP",
    "missed_lesions": "Num_FN",
    "false_lesions": "Num_FP",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "dice": "Legacy_Dice",
    "hd95_mm": "Legacy_HD95",
    "lesion_wise_dice": "LesionWise_Score_Dice",
    "lesion_wise_hd95_mm": "LesionWise_Score_HD95",
}
NAMES_2024 = NAMES | {
    "nsd_0.5mm": "Legacy NSD @ 0.5",
    "nsd_1mm": "Legacy NSD @ 1.0",
    "lesion_wise_nsd_0.5mm": "LesionWise_Score_NSD @ 0.5",
    "lesion_wise_nsd_1mm": "LesionWise_Score_NSD @ 1.0",
}


def since_2023(label: LabelMap, kind: str) -> LabelMap:
    """Binary cases were given to the official code as stored value 3, and the 4 of earlier years as 3."""
    if kind == "binary":
        return label * 3
    return np.where(label == 4, 3, label) if kind == "brats124" else label


def compared(name: str, official: Official, expected: dict[str, Any], names: dict[str, str]) -> int:
    recoded = Official(
        case=official.case,
        kind=official.kind,
        predicted=since_2023(official.predicted, official.kind),
        reference=since_2023(official.reference, official.kind),
        spacing_mm=official.spacing_mm,
        values=official.values,
    )
    scores = scored(protocol.build(name), recoded)
    for region, values in expected.items():
        assert scores[region, "reference_volume_ml"] == near(values["GT_Complete_Volume"] / 1000)
        for ours, theirs in names.items():
            assert scores[region, ours] == near(values[theirs]), (official.case, region, ours)
    return len(expected) * (len(names) + 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "implementation", "task", "names", "values"),
    [
        ("brats2023", "brats23", "BraTS-GLI", NAMES, 510),
        ("brats2023_met", "brats23", "BraTS-MET", NAMES, 510),
        ("brats2024_gli", "brats24_GLI", "BraTS-GLI", NAMES_2024, 742),
        ("brats2024_met", "brats24_MET", "BraTS-MET", NAMES_2024, 448),
    ],
)
def test_equals_the_official_code(
    oracles: Path, name: str, implementation: str, task: str, names: dict[str, str], values: int
) -> None:
    cases = official_cases(oracles, implementation)
    assert sum(compared(name, official, official.values[task], names) for official in cases) == values


def blocks(*starts: int) -> LabelMap:
    """Blocks of 4 x 4 x 4 voxels of enhancing tumour, from these places on along the first axis."""
    label = np.zeros((40, 12, 12), dtype=np.uint8)
    for start in starts:
        label[start : start + 4, 4:8, 4:8] = 3
    return label


def lesion_wise(name: str, predicted: LabelMap, reference: LabelMap) -> dict[tuple[str, str], float]:
    scores = protocol.build(name).score(predicted, reference, spacing_mm=(1.0, 1.0, 1.0))
    return {(score.region, score.metric): score.value for score in scores}


@pytest.mark.parametrize(("gap", "lesions"), [(6, 1), (7, 2)])
def test_a_gap_of_six_voxels_is_bridged_and_one_of_seven_is_not(gap: int, lesions: int) -> None:
    reference = blocks(4, 8 + gap)
    scores = lesion_wise("brats2023", reference, reference)
    assert scores["ET", "found_lesions"] == lesions
    assert scores["ET", "lesion_wise_dice"] == 1.0


def test_a_missed_and_a_false_lesion_count_nothing_and_the_penalty() -> None:
    scores = lesion_wise("brats2023", blocks(2, 34), blocks(2, 18))
    assert scores["ET", "lesion_wise_dice"] == pytest.approx(1 / 3)
    assert scores["ET", "lesion_wise_hd95_mm"] == pytest.approx(2 * 374 / 3)


def test_the_fault_of_2024_is_kept_under_its_name() -> None:
    two = blocks(2, 30)
    assert lesion_wise("brats2024_gli", two, two)["ET", "sensitivity"] == pytest.approx(64 / (64 + 2 * 64))
    assert lesion_wise("brats2023", two, two)["ET", "sensitivity"] == 1.0
