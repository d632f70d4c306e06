from pathlib import Path
from typing import Any

import cc3d
import numpy as np
import pytest
import torch

from lesionlab.core.metric import MaskPair
from lesionlab.core.protocol import LabelMap
from lesionlab.metrics.overlap import Accuracy
from lesionlab.protocols.synapse_net_paper import SynapseNetBratsPaper, SynapseNetPaper


def scored(predicted: LabelMap, reference: LabelMap) -> dict[str, float]:
    scores = SynapseNetPaper().score(predicted, reference, spacing_mm=(0.9, 0.9, 3.0))
    return {score.metric: score.value for score in scores}


@pytest.fixture(scope="module")
def published(parity: Path) -> dict[str, Any]:
    """Values of the published scripts for one probability map."""
    values: dict[str, Any] = torch.load(parity / "synapse_numeric.pt", weights_only=True)["metrics"]
    return values


@pytest.mark.parametrize("smallest_voxels", [1, 2, 3, 5, 15])
def test_lesion_scores_equal_the_published(published: dict[str, Any], smallest_voxels: int) -> None:
    predicted = published["post"][smallest_voxels].numpy()
    f1, recall = published["lesion_f1_recall"][smallest_voxels]
    scores = scored(predicted, published["gt"].numpy())
    assert (scores["lesion_f1"], scores["lesion_recall"]) == pytest.approx((f1, recall), abs=1e-9)


def test_case_metrics_equal_the_published_at_its_own_best_threshold(published: dict[str, Any]) -> None:
    reference, probability = published["gt"].numpy(), published["prob"].numpy()
    kept = [
        cc3d.dust(probability > threshold, threshold=3, connectivity=26) for threshold in np.arange(0.05, 0.96, 0.05)
    ]
    best = max((scored(lesions, reference) for lesions in kept), key=lambda scores: scores["dsc"])
    dice, hd95_voxels, recall, accuracy, avd_percent, f1 = published["case_metrics"]
    expected = {
        "dsc": dice, "hd95_voxels": hd95_voxels, "lesion_f1": f1, "lesion_recall": recall, "avd_percent": avd_percent
    }  # fmt: skip
    assert best == pytest.approx(expected, abs=1e-6)
    best_lesions = max(kept, key=lambda lesions: scored(lesions, reference)["dsc"])
    pair = MaskPair(predicted=best_lesions, reference=reference > 0.5, spacing_mm=(1.0, 1.0, 1.0))
    assert Accuracy()(pair) == pytest.approx(accuracy, abs=1e-9)


def test_region_scores_equal_the_published(published: dict[str, Any]) -> None:
    predicted, reference = (published["brats"][name].numpy() for name in ("pred", "gt"))
    scores = SynapseNetBratsPaper().score(predicted, reference, spacing_mm=(1.0, 1.0, 5.0))
    names = {"dsc": "Dice", "hd95_voxels": "HD95"}
    ours = {f"{names[score.metric]}_{score.region}": score.value for score in scores}
    assert ours == pytest.approx(published["brats"]["metrics"], abs=1e-6)


def test_empty_masks_follow_the_published_rules() -> None:
    empty, lesion = np.zeros((6, 6, 3), dtype=np.uint8), np.zeros((6, 6, 3), dtype=np.uint8)
    lesion[2:4, 2:4, 1] = 1
    names = ["dsc", "hd95_voxels", "lesion_f1", "lesion_recall", "avd_percent"]
    assert scored(empty, empty) == dict(zip(names, [1, 0, 1, 1, 0], strict=True))
    assert scored(empty, lesion) == dict(zip(names, [0, 0, 0, 0, 100], strict=True))
    assert scored(lesion, empty) == dict(zip(names, [0, 0, 0, 1, 500], strict=True))


def test_label_2_counts_as_lesion() -> None:
    reference = np.zeros((6, 6, 3), dtype=np.uint8)
    reference[1, 1, 1], reference[4, 4, 1] = 1, 2
    assert scored(reference > 0, reference)["dsc"] == 1.0
