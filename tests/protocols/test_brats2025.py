import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from official_values import Official, near, official_cases

from lesionlab.core.metric import MaskPair
from lesionlab.core.protocol import LabelMap
from lesionlab.metrics.lesion_match import LesionRecognition, MatchedDice, OneToOne, PanopticQuality, score_matched
from lesionlab.metrics.mean_distance import MeanOfMeanDistances
from lesionlab.metrics.volume import RelativeVolumeDifference
from lesionlab.protocols.brats2025 import Brats2025, Brats2025Metastases

NAMES = {
    "matched_lesions": "tp",
    "false_lesions": "fp",
    "missed_lesions": "fn",
    "lesion_f1": "rq",
    "matched_dice": "sq_dsc",
    "panoptic_dice": "pq_dsc",
    "matched_hd95_mm": "sq_hd95",
    "matched_nsd": "sq_nsd",
    "dice": "global_bin_dsc",
    "hd95_voxels": "global_bin_hd95",
    "nsd_identical": "global_bin_nsd",
}
IOU_OF_ONE_HALF = OneToOne(by="iou", at_least=0.5)


def regions_of(official: Official) -> dict[str, dict[str, Any]]:
    """Values of each region; binary cases were given to the official code as enhancing tumour."""
    values = official.values
    if "brats2025_gli_as_et" in values:
        return {"ET": values["brats2025_gli_as_et"]}
    return {region.upper(): found for region, found in values["brats2025_gli"].items()}


def scored(rules: Brats2025, official: Official, *, factor: int) -> dict[tuple[str, str], float]:
    predicted, reference = official.predicted * factor, official.reference * factor
    scores = rules.score(predicted, reference, spacing_mm=official.spacing_mm)
    return {(score.region, score.metric): score.value for score in scores}


@pytest.mark.slow
def test_equals_panoptica(oracles: Path) -> None:
    compared = 0
    for official in official_cases(oracles, "panoptica"):
        factor = 3 if official.kind == "binary" else 1
        scores = scored(Brats2025(), official, factor=factor)
        for region, values in regions_of(official).items():
            for ours, theirs in NAMES.items():
                assert scores[region, ours] == near(values[theirs]), (official.case, region, ours)
                compared += 1
    assert compared == 748


def test_metastases_equal_panoptica(oracles: Path) -> None:
    for official in official_cases(oracles, "panoptica"):
        if "brats2025_mets" in official.values:
            scores = scored(Brats2025Metastases(), official, factor=1)
            for region, values in official.values["brats2025_mets"].items():
                for ours, theirs in NAMES.items():
                    assert scores[region.upper(), ours] == near(values[theirs]), (official.case, region, ours)


def mean(values: list[float], *, otherwise: float) -> float:
    return statistics.fmean(values) if values else otherwise


def spread(values: list[float]) -> float:
    return statistics.pstdev(values) if values else math.nan


def at_one_half(pair: MaskPair) -> dict[str, float]:
    """What panoptica's plain settings report: matches from an intersection over union of 0.5 on."""
    found = pair.once(IOU_OF_ONE_HALF)
    has_lesion = bool(found.n_predicted + found.n_reference)
    ious, dices = ([getattr(match, name) for match in found.matches] for name in ("iou", "dice"))
    distances = score_matched(pair, IOU_OF_ONE_HALF, MeanOfMeanDistances())
    volumes = score_matched(pair, IOU_OF_ONE_HALF, RelativeVolumeDifference())
    quality = mean(ious, otherwise=0.0 if has_lesion else math.nan)
    return {
        "n_ref_instances": found.n_reference,
        "n_pred_instances": found.n_predicted,
        "tp": len(found.matches),
        "rq": LesionRecognition(matching=IOU_OF_ONE_HALF)(pair),
        "sq": quality,
        "sq_std": spread(ious),
        "pq": quality * found.f1,
        "sq_dsc": MatchedDice(matching=IOU_OF_ONE_HALF)(pair),
        "sq_dsc_std": spread(dices),
        "pq_dsc": PanopticQuality(matching=IOU_OF_ONE_HALF)(pair),
        "sq_assd": mean(distances, otherwise=math.inf if has_lesion else math.nan),
        "sq_assd_std": spread(distances),
        "sq_rvd": mean(volumes, otherwise=math.nan),
        "sq_rvd_std": spread(volumes),
        "global_bin_volume_pred": pair.predicted_voxels,
        "global_bin_volume_ref": pair.reference_voxels,
    }


@pytest.mark.slow
def test_equals_panoptica_at_an_overlap_of_one_half(oracles: Path) -> None:
    compared = 0
    for official in official_cases(oracles, "panoptica"):
        if "naive_iou0.5" in official.values:
            pair = MaskPair(
                predicted=official.predicted > 0, reference=official.reference > 0, spacing_mm=official.spacing_mm
            )
            for name, value in at_one_half(pair).items():
                assert value == near(official.values["naive_iou0.5"][name]), (official.case, name)
                compared += 1
    assert compared == 16 * 32


def test_every_lesion_of_the_reference_has_its_scores(oracles: Path) -> None:
    case = "c079_brats_small_sat_below_threshold"
    masks = np.load(oracles / f"{case}.npz")
    expected = json.loads((oracles / "expected" / "panoptica.json").read_text())[case]["brats2025_gli"]["et"]
    pair = MaskPair(predicted=masks["pred"] == 3, reference=masks["gt"] == 3, spacing_mm=(1.0, 1.0, 1.0))
    found = [lesion for lesion in expected["reference_instances"] if lesion["is_matched"]]
    assert [match.dice for match in pair.once(OneToOne()).matches] == [lesion["sq_dsc"] for lesion in found]


def row(*starts: int) -> LabelMap:
    label = np.zeros((30, 5, 5), dtype=np.uint8)
    for start in starts:
        label[start : start + 3, 1:4, 1:4] = 3
    return label


def test_a_missed_lesion_leaves_matched_scores_and_lowers_the_panoptic_one() -> None:
    scores = Brats2025().score(row(2), row(2, 20), spacing_mm=(1.0, 1.0, 1.0))
    values = {score.metric: score.value for score in scores if score.region == "ET"}
    assert (values["matched_dice"], values["matched_hd95_mm"]) == (1.0, 0.0)
    assert values["panoptic_dice"] == pytest.approx(2 / 3)
