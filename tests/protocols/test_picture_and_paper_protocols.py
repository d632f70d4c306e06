from pathlib import Path

import numpy as np
import pytest
from official_values import near, official_cases, scored

import lesionlab.protocols  # noqa: F401 (registers them)
from lesionlab.core.protocol import LabelMap, protocol

PICTURES = {
    ("polyp", "dice"): "dice",
    ("polyp", "iou"): "iou",
    ("polyp", "accuracy"): "acc",
    ("polyp", "sensitivity"): "se",
    ("polyp", "specificity"): "sp",
    ("polyp", "dice_smooth1"): "dice_smooth1",
    ("polyp", "iou_smooth1"): "iou_smooth1",
    ("isic2018", "thresholded_jaccard"): "isic2018_thresholded_jaccard_0_65",
    ("isic2018", "jaccard"): "iou",
    ("isic2018", "dice"): "dice",
    ("isic2018", "accuracy"): "acc",
}


def values(name: str, predicted: LabelMap, reference: LabelMap) -> dict[tuple[str, str], float]:
    scores = protocol.build(name).score(predicted, reference, spacing_mm=(1.0, 1.0, 3.0))
    return {(score.region, score.metric): score.value for score in scores}


def test_pictures_equal_the_published_conventions(oracles: Path) -> None:
    for official in official_cases(oracles, "conv2d"):
        for (name, ours), theirs in PICTURES.items():
            assert scored(protocol.build(name), official)["lesion", ours] == near(official.values[theirs]), ours


def test_a_jaccard_below_065_is_a_failure() -> None:
    reference = np.zeros((10, 10, 1), dtype=np.uint8)
    reference[:, :6] = 1
    predicted = np.zeros_like(reference)
    predicted[:, :3] = 1
    scores = values("isic2018", predicted, reference)
    assert (scores["lesion", "jaccard"], scores["lesion", "thresholded_jaccard"]) == (0.5, 0.0)


@pytest.mark.parametrize("implementation", ["medpy040", "medpy052"])
def test_organs_equal_the_published_script(oracles: Path, implementation: str) -> None:
    compared = 0
    for official in official_cases(oracles, implementation):
        if official.kind == "synapse":
            scores = scored(protocol.build("synapse_paper"), official)
            for organ, expected in official.values.items():
                assert scores[f"organ_{organ}", "dice"] == near(expected["dice"])
                assert scores[f"organ_{organ}", "hd95_voxels"] == near(expected["hd95_vox"])
                compared += 1
    assert compared == 8


def test_a_missed_organ_has_the_best_distance_and_an_invented_one_the_best_of_both() -> None:
    missed, invented = np.zeros((8, 8, 4), dtype=np.uint8), np.zeros((8, 8, 4), dtype=np.uint8)
    missed[2:4, 2:4, 1], invented[2:4, 2:4, 1] = 1, 2
    scores = values("synapse_paper", invented, missed)
    assert [scores[organ, "dice"] for organ in ("organ_1", "organ_2", "organ_3")] == [0.0, 1.0, 0.0]
    assert {scores[f"organ_{organ}", "hd95_voxels"] for organ in range(1, 9)} == {0.0}


def test_sg_net_gives_twenty_voxels_for_nothing() -> None:
    reference = np.zeros((40, 40, 4), dtype=np.uint8)
    reference[5:9, 5:9, 1] = 1
    far = np.roll(reference, 25, axis=0)
    nothing = values("sg_net_paper", np.zeros_like(reference), reference)
    stray = values("sg_net_paper", far, reference)
    assert nothing["lesion", "hd95_voxels"] == 20.0 < stray["lesion", "hd95_voxels"]
    assert stray["lesion", "f1"] == stray["lesion", "dice"] == 0.0
    assert nothing["lesion", "precision"] == 0.0


def test_atlas_notebooks_score_empty_slices_with_zero() -> None:
    reference = np.zeros((6, 6, 4), dtype=np.uint8)
    reference[1:4, 1:4, 1] = 1
    scores = values("atlas_notebook_paper", reference, reference)
    assert scores["main", "mean_slice_dice"] == pytest.approx(1 / 4, abs=1e-5)
    assert scores["sub", "mean_slice_dice"] == 0.0


def test_brats2020_penalises_a_missed_region() -> None:
    reference = np.zeros((10, 10, 10), dtype=np.uint8)
    reference[2:6, 2:6, 2:6], reference[3, 3, 3] = 1, 4
    scores = values("brats2020", np.where(reference == 4, 1, reference), reference)
    assert (scores["ET", "dice"], scores["ET", "hd95_mm"]) == (0.0, 373.1287)
    assert (scores["TC", "dice"], scores["WT", "dice"]) == (1.0, 1.0)
