"""Metrics give what official code gave for the same masks; see `protocols` for whole challenges."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlab.core.metric import MaskPair, Metric
from lesionlab.metrics.hausdorff import Hausdorff, Hausdorff95Max, Hausdorff95MaxVoxels, Hausdorff95Pooled
from lesionlab.metrics.hausdorff import Hausdorff95PooledVoxels as PooledVoxels
from lesionlab.metrics.mean_distance import MeanDistanceFromPredicted, MeanOfMeanDistances, PooledMeanDistance
from lesionlab.metrics.overlap import (
    Accuracy,
    Dice,
    IntersectionOverUnion,
    MatthewsCorrelation,
    Precision,
    Recall,
    Specificity,
)
from lesionlab.metrics.surface_dice import BoundaryIou, SurfaceDice
from lesionlab.metrics.surfel import Hausdorff95Surfel, SurfelDice, surfel_distances
from lesionlab.metrics.volume import AbsoluteVolumeDifferencePercent, RelativeVolumeDifference

Judge = Metric | Callable[[MaskPair], float]

MEDPY: dict[str, Judge] = {
    "dc": Dice(both_empty=0.0),
    "jc": IntersectionOverUnion(),
    "hd_mm": Hausdorff(),
    "hd95_mm": Hausdorff95Pooled(),
    "hd95_vox": PooledVoxels(),
    "assd_mm": MeanOfMeanDistances(),
    "asd_mm": MeanDistanceFromPredicted(),
    "sensitivity": Recall(reference_empty=0.0, both_empty=0.0),
    "specificity": Specificity(),
    "precision": Precision(predicted_empty=0.0),
    "recall": Recall(reference_empty=0.0, both_empty=0.0),
    "ravd": RelativeVolumeDifference(),
}
LATER_MEDPY = MEDPY | {
    "dc": Dice(),
    "jc": IntersectionOverUnion(both_empty=1.0),
    "assd_mm": PooledMeanDistance(),
    "sensitivity": Recall(),
    "recall": Recall(),
    "precision": Precision(),
}
METRICS_RELOADED: dict[str, Judge] = {
    "dsc": Dice(both_empty=1.0),
    "iou": IntersectionOverUnion(),
    "fbeta": Dice(both_empty=1.0),
    "sensitivity": Recall(),
    "specificity": Specificity(),
    "ppv": Precision(),
    "mcc": MatthewsCorrelation(),
    "hd_mm": Hausdorff(both_empty="zero"),
    "hd95_mm": Hausdorff95Max(both_empty="zero"),
    "assd_mm": PooledMeanDistance(both_empty="zero"),
    "masd_mm": MeanOfMeanDistances(both_empty="zero"),
    "nsd_1mm": SurfaceDice(both_empty=1.0),
    "boundary_iou_d2": BoundaryIou(both_empty=1.0),
    "avdr": lambda pair: AbsoluteVolumeDifferencePercent()(pair) / 100,
}


def unless_reference_empty(judge: Metric) -> Callable[[MaskPair], float]:
    return lambda pair: judge(pair) if pair.reference_voxels else math.nan


MONAI: dict[str, Judge] = {
    "dice_ignore_empty_true": unless_reference_empty(Dice()),
    "dice_ignore_empty_false": Dice(both_empty=1.0),
    "iou_ignore_empty_true": unless_reference_empty(IntersectionOverUnion()),
    "hd95_mm": Hausdorff95Max(),
    "hd95_vox": Hausdorff95MaxVoxels(),
    "hd_mm": Hausdorff(one_empty="infinite"),
    "assd_mm": PooledMeanDistance(one_empty="infinite"),
    "nsd_1mm": SurfaceDice(),
    "nsd_2mm": SurfaceDice(tolerance_mm=2.0),
    "nsd_1mm_subvoxel": SurfelDice(),
    "sensitivity": Recall(),
    "specificity": Specificity(),
    "precision": Precision(),
    "accuracy": Accuracy(),
}


def mean_from_predicted(pair: MaskPair) -> float:
    found = pair.once(surfel_distances)
    area = found.predicted_areas.sum()
    return float(found.from_predicted @ found.predicted_areas / area) if area else math.nan


def mean_from_reference(pair: MaskPair) -> float:
    found = pair.once(surfel_distances)
    area = found.reference_areas.sum()
    return float(found.from_reference @ found.reference_areas / area) if area else math.nan


SURFACE_DISTANCE: dict[str, Judge] = {
    "hd95_mm": Hausdorff95Surfel(both_empty="infinite", one_empty="infinite"),
    "hd100_mm": Hausdorff95Surfel(percent=100.0, both_empty="infinite", one_empty="infinite"),
    "avg_gt_to_pred_mm": mean_from_reference,
    "avg_pred_to_gt_mm": mean_from_predicted,
    "surface_dice_1mm": SurfelDice(),
    "surface_dice_2mm": SurfelDice(tolerance_mm=2.0),
    "volumetric_dice": Dice(),
}


def pairs(oracles: Path, implementation: str) -> Iterator[tuple[str, MaskPair, dict[str, Any]]]:
    kinds = {case["id"]: case["kind"] for case in json.loads((oracles / "index.json").read_text())["cases"]}
    for case, values in json.loads((oracles / "expected" / f"{implementation}.json").read_text()).items():
        if kinds[case] in ("binary", "2d"):
            masks = np.load(oracles / f"{case}.npz")
            x, y, z = (*masks["spacing"].tolist(), 1.0)[:3]
            predicted, reference = (np.atleast_3d(masks[name]) > 0 for name in ("pred", "gt"))
            is_picture = kinds[case] == "2d"
            pair = MaskPair(predicted=predicted, reference=reference, spacing_mm=(x, y, z), is_picture=is_picture)
            yield case, pair, values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("implementation", "judges", "tolerance", "compared"),
    [
        ("medpy040", MEDPY, 1e-6, 425),
        ("medpy052", LATER_MEDPY, 1e-6, 294),
        ("metricsreloaded", METRICS_RELOADED, 1e-6, 518),
        ("monai", MONAI, 1e-4, 518),
        ("surface_distance", SURFACE_DISTANCE, 1e-6, 259),
    ],
)
def test_equals(oracles: Path, implementation: str, judges: dict[str, Judge], tolerance: float, compared: int) -> None:
    n, wrong = 0, []
    for case, pair, values in pairs(oracles, implementation):
        for name, judge in judges.items():
            ours, theirs = judge(pair), values[name]
            if isinstance(theirs, str) and theirs.startswith("error"):  # the official code raises; nothing of ours does
                continue
            n += 1
            if ours != pytest.approx(float(theirs), abs=tolerance, rel=1e-6, nan_ok=True):
                wrong.append((case, name, ours, theirs))
    assert wrong == []
    assert n == compared


@pytest.mark.slow
def test_equals_the_surface_overlaps_of_surface_distance(oracles: Path) -> None:
    for case, pair, values in pairs(oracles, "surface_distance"):
        found = pair.once(surfel_distances)
        parts = [(found.from_reference, found.reference_areas), (found.from_predicted, found.predicted_areas)]
        ours = [areas[distances <= 1].sum() / areas.sum() if areas.size else math.nan for distances, areas in parts]
        theirs = [float(value) for value in values["surface_overlap_1mm"]]
        assert ours == pytest.approx(theirs, abs=1e-6, rel=1e-6, nan_ok=True), case
