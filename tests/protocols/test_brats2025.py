import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from official_values import Official, near, official_cases

from lesionlab.core.metric import MaskPair, Spacing
from lesionlab.core.protocol import LabelMap
from lesionlab.metrics.components import find_lesions
from lesionlab.metrics.hausdorff import Hausdorff95Pooled
from lesionlab.metrics.lesion_match import LesionRecognition, MatchedDice, OneToOne, PanopticQuality, score_matched
from lesionlab.metrics.mean_distance import MeanOfMeanDistances
from lesionlab.metrics.overlap import Dice
from lesionlab.metrics.surface_dice import MeanSurfaceDice
from lesionlab.metrics.volume import RelativeVolumeDifference
from lesionlab.protocols.brats2025 import Brats2025, Brats2025Metastases
from lesionlab.protocols.brats_regions import region_pairs

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
GLIOMA_VALUES, METASTASES_VALUES, PLAIN_VALUES, INSTANCE_VALUES = 1467, 508, 733, 200


def regions_of(official: Official, settings: str = "brats2025_gli") -> dict[str, dict[str, Any]]:
    """Values of each region; binary cases were given to the official code as enhancing tumour."""
    values = official.values
    if f"{settings}_as_et" in values:
        return {"ET": values[f"{settings}_as_et"]}
    return {region.upper(): found for region, found in values.get(settings, {}).items()}


def scored(rules: Brats2025, official: Official, *, factor: int) -> dict[str, dict[str, float]]:
    """Every value of each region under the official name: the protocol's own, and what can be told beside them."""
    predicted, reference = official.predicted * factor, official.reference * factor
    told: dict[str, dict[str, float]] = {}
    for score in rules.score(predicted, reference, spacing_mm=official.spacing_mm):
        if score.metric in NAMES:
            told.setdefault(score.region, {})[NAMES[score.metric]] = score.value
    pairs = region_pairs(predicted, reference, rules.regions, spacing_mm=official.spacing_mm)
    return {region: told[region] | beside(pair, OneToOne()) | spreads(pair) for region, pair in pairs.items()}


def beside(pair: MaskPair, matching: OneToOne) -> dict[str, float]:
    """What panoptica tells of the lesions and volumes, whatever is measured of a match."""
    found, voxels = pair.once(matching), pair.once(find_lesions).reference_voxels
    counts = [float(voxels[match.reference - 1]) for match in found.matches]
    return {
        "n_ref_instances": found.n_reference,
        "n_pred_instances": found.n_predicted,
        "tp": len(found.matches),
        "fp": found.n_predicted - len(found.matches),
        "fn": found.n_reference - len(found.matches),
        "prec": len(found.matches) / found.n_predicted if found.n_predicted else math.nan,
        "rec": len(found.matches) / found.n_reference if found.n_reference else math.nan,
        "instance_voxel_count_ref": mean(counts, otherwise=math.nan),
        "instance_volume_ref": mean(counts, otherwise=math.nan) * pair.voxel_ml * 1000,
        "global_bin_volume_pred": pair.predicted_voxels,
        "global_bin_volume_ref": pair.reference_voxels,
        "global_bin_dsc": Dice()(pair),
    }


def of_matches(pair: MaskPair) -> dict[str, list[float]]:
    near_enough = MeanSurfaceDice(tolerance_mm=min(pair.spacing_mm))
    return {
        "sq_dsc": [match.dice for match in pair.once(OneToOne()).matches],
        "sq_hd95": score_matched(pair, OneToOne(), Hausdorff95Pooled()),
        "sq_nsd": score_matched(pair, OneToOne(), near_enough),
    }


def sizes(pair: MaskPair) -> dict[str, list[float]]:
    voxels = pair.once(find_lesions).reference_voxels
    counts = [float(voxels[match.reference - 1]) for match in pair.once(OneToOne()).matches]
    return {"voxel_count": counts, "volume": [count * pair.voxel_ml * 1000 for count in counts]}


def spreads(pair: MaskPair) -> dict[str, float]:
    return {f"{name}_std": spread(values) for name, values in of_matches(pair).items()}


def compared(rules: Brats2025, official: Official, settings: str) -> int:
    """Hold every number that the official code gives for a region against ours, and return how many there are."""
    own = scored(rules, official, factor=3 if official.kind == "binary" else 1)
    n = 0
    for region, values in regions_of(official, settings).items():
        for name, value in values.items():
            if name != "reference_instances":
                assert own[region][name] == near(value), (official.case, region, name)
                n += 1
    return n


@pytest.mark.slow
def test_equals_panoptica(oracles: Path) -> None:
    cases = official_cases(oracles, "panoptica")
    assert sum(compared(Brats2025(), official, "brats2025_gli") for official in cases) == GLIOMA_VALUES


@pytest.mark.slow
def test_metastases_equal_panoptica(oracles: Path) -> None:
    cases = official_cases(oracles, "panoptica")
    assert sum(compared(Brats2025Metastases(), official, "brats2025_mets") for official in cases) == METASTASES_VALUES


def mean(values: Sequence[float], *, otherwise: float) -> float:
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
    return beside(pair, IOU_OF_ONE_HALF) | {
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
    }


@pytest.mark.slow
def test_equals_panoptica_at_an_overlap_of_one_half(oracles: Path) -> None:
    n = 0
    for official in official_cases(oracles, "panoptica"):
        if "naive_iou0.5" in official.values:
            predicted, reference = official.predicted > 0, official.reference > 0
            own = at_one_half(MaskPair(predicted=predicted, reference=reference, spacing_mm=official.spacing_mm))
            for name, value in official.values["naive_iou0.5"].items():
                assert own[name] == near(value), (official.case, name)
                n += 1
    assert n == PLAIN_VALUES


@pytest.mark.slow
def test_every_lesion_of_the_reference_has_its_scores(oracles: Path) -> None:
    n = 0
    for official in official_cases(oracles, "panoptica"):
        for rules, settings in ((Brats2025(), "brats2025_gli"), (Brats2025Metastases(), "brats2025_mets")):
            pairs = region_pairs(
                official.predicted, official.reference, rules.regions, spacing_mm=official.spacing_mm
            )  # fmt: skip
            for region, values in regions_of(official, settings).items():
                expected = [lesion for lesion in values.get("reference_instances", []) if lesion["is_matched"]]
                found = of_matches(pairs[region]) | sizes(pairs[region])
                for name, own in found.items():
                    theirs = [lesion[name] for lesion in expected]
                    assert not expected or sorted(own) == near_all(theirs), (official.case, region, name)
                    n += len(theirs)
    assert n == INSTANCE_VALUES


def near_all(values: list[float]) -> Any:
    return pytest.approx(sorted(values), abs=1e-6, rel=1e-6)


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


def metastases(*lesions: tuple[int, int]) -> LabelMap:
    """Enhancing lesions by their first voxel along x and their edge in voxels."""
    label = np.zeros((40, 9, 9), dtype=np.uint8)
    for start, edge in lesions:
        label[start : start + edge, 1 : 1 + edge, 1 : 1 + edge] = 3
    return label


def by_size(predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing = (1.0, 1.0, 1.0)) -> dict[str, float]:
    scores = Brats2025Metastases().score(predicted, reference, spacing_mm=spacing_mm)
    return {score.metric: score.value for score in scores if score.region == "ET"}


def test_small_metastases_are_found_or_not_and_large_ones_outlined() -> None:
    scores = by_size(metastases((2, 2), (25, 4)), metastases((2, 2), (10, 2), (24, 4)))
    assert scores["small_lesion_recall"] == 0.5
    assert scores["large_matched_dice"] == 0.75
    assert scores["large_matched_hd95_mm"] == pytest.approx(1.0)
    assert scores["matched_dice"] == 0.875


def test_a_metastasis_of_27_mm3_is_large_whatever_its_voxels() -> None:
    large, missed = metastases((2, 3)), metastases()
    assert math.isnan(by_size(large, large)["small_lesion_recall"])
    assert by_size(large, large, spacing_mm=(0.9, 1.0, 1.0))["small_lesion_recall"] == 1.0
    assert (by_size(missed, large)["large_matched_dice"], by_size(missed, large)["large_matched_hd95_mm"]) == (
        0,
        math.inf,
    )
    assert math.isnan(by_size(missed, missed)["large_matched_nsd"])


def test_a_small_metastasis_of_which_a_corner_is_touched_is_not_found() -> None:
    assert by_size(metastases((3, 7)), metastases((2, 2)))["small_lesion_recall"] == 0.0
