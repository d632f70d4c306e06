"""Tuning chooses on validation cases alone, keeps the choice in the checkpoint, and predict uses it."""

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from tiny_training import save

from lesionlab.core.errors import CasesError, LayoutError, OptionError, SplitError
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained
from lesionlab.workflows.tune import tune

THRESHOLDS = (0.2, 0.3, 0.35, 0.4, 0.45, 0.5)
SIZES = (0.0, 10.0, 60.0)


@pytest.fixture
def checkpoint(trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.folder / "best", tmp_path / "best"))


@pytest.fixture
def data(cohort: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(cohort, tmp_path / "data"))


def folder_of(data: Path, case: str) -> Path:
    (found,) = data.glob(f"*/{case.replace('_', '/')}")
    return found


def dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    total = int(predicted.sum() + reference.sum())
    return 2 * int((predicted & reference).sum()) / total if total else 1.0


def test_the_choice_is_kept_and_predict_reaches_it(
    checkpoint: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tuned = tune(checkpoint, f"wmh2017:{data}", thresholds=THRESHOLDS, smallest_lesions_mm3=SIZES)
    assert open_checkpoint(checkpoint).postprocessing == tuned.postprocessing
    assert "mean dice" in tuned.postprocessing.chosen_by
    assert "of 1 validation cases" in tuned.postprocessing.chosen_by
    assert all(file.exists() for file in tuned.files)
    with (checkpoint / "tuning.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(THRESHOLDS) * len(SIZES)
    assert {row["standard_error_of_difference_from_best"] for row in rows} == {""}
    setting = tuned.postprocessing
    assert (setting.threshold, setting.smallest_lesion_mm3) == (0.5, 0.0)  # one case tells nothing apart
    assert "one validation case cannot tell settings apart" in caplog.text
    assert "threshold 0.5 is the last one that was tried" in caplog.text
    (row,) = (row for row in rows if (row["threshold"], row["smallest_lesion_mm3"]) == ("0.5", "0.0"))
    assert float(row["mean_dice"]) == pytest.approx(tuned.score, abs=1e-6)
    predict(checkpoint, f"wmh2017:{data}", tmp_path / "out")
    (case,) = open_checkpoint(checkpoint).plan.validation_cases
    predicted = np.asarray(nibabel.load(tmp_path / "out" / f"{case}_mask.nii.gz").dataobj) > 0
    reference = np.asarray(nibabel.load(folder_of(data, case) / "wmh.nii.gz").dataobj) == 1
    assert dice(predicted, reference) == pytest.approx(tuned.score)


def test_sizes_of_pictures_are_in_pixels(checkpoint: Path, tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    for name, value in (("flair", 200), ("t1", 90)):
        Image.fromarray(np.full((36, 30), value, np.uint8)).save(tmp_path / "pictures" / f"{name}.png")
    lesion = np.zeros((36, 30), np.uint8)
    lesion[10:16, 8:12] = 1
    Image.fromarray(lesion).save(tmp_path / "pictures" / "lesion.png")
    (tmp_path / "pictures" / "cases.csv").write_text("id,label,flair,t1\na,lesion.png,flair.png,t1.png\n")
    plan = json.loads((checkpoint / "plan.json").read_text())
    plan |= {"layout": "table", "validation_cases": ["a"], "training_images": [], "validation_images": []}
    (checkpoint / "plan.json").write_text(json.dumps(plan))
    tuned = tune(checkpoint, f"table:{tmp_path / 'pictures'}", thresholds=THRESHOLDS, smallest_lesions_mm3=SIZES)
    assert tuned.size_unit == "px"
    head = (checkpoint / "tuning.csv").read_text().splitlines()[0]
    assert head == "threshold,smallest_lesion_px,mean_dice,standard_error_of_difference_from_best"


def test_no_other_case_is_looked_at(checkpoint: Path, data: Path):
    expected = tune(checkpoint, f"wmh2017:{data}", thresholds=THRESHOLDS, smallest_lesions_mm3=SIZES)
    chosen = {folder_of(data, case) for case in open_checkpoint(checkpoint).plan.validation_cases}
    others = [path for path in data.rglob("*.nii.gz") if not chosen & set(path.parents)]
    assert len(others) == 4 * 3
    for path in others:
        path.write_bytes(b"not to be read")
    assert tune(checkpoint, f"wmh2017:{data}", thresholds=THRESHOLDS, smallest_lesions_mm3=SIZES) == expected


def test_other_pathology_does_not_count(checkpoint: Path, data: Path):
    """Where the reference says 2 a prediction is neither right nor wrong."""
    (case,) = open_checkpoint(checkpoint).plan.validation_cases
    path = folder_of(data, case) / "wmh.nii.gz"
    label = np.asarray(nibabel.load(path).dataobj).astype(np.uint8)
    save(path, np.where(label == 1, label, 2).astype(np.uint8))
    tuned = tune(checkpoint, f"wmh2017:{data}", thresholds=(0.01,), smallest_lesions_mm3=(0.0,))
    assert tuned.score > 0.9


def test_a_metric_that_is_no_fraction_is_refused(checkpoint: Path, data: Path):
    before = (checkpoint / "postprocessing.json").read_bytes()
    with pytest.raises(OptionError, match="a fraction"):
        tune(checkpoint, f"wmh2017:{data}", score="hd95_wmh")
    assert (checkpoint / "postprocessing.json").read_bytes() == before


def test_data_without_the_validation_cases_are_refused(checkpoint: Path, data: Path):
    (case,) = open_checkpoint(checkpoint).plan.validation_cases
    shutil.rmtree(folder_of(data, case))
    with pytest.raises(LayoutError, match=f"validation cases \\({case}"):
        tune(checkpoint, f"wmh2017:{data}")


def test_test_cases_of_the_same_id_never_choose(checkpoint: Path, data: Path):
    """Another hospital's test set, numbered alike; or the own one, moved to test afterwards."""
    (case,) = open_checkpoint(checkpoint).plan.validation_cases
    folder = folder_of(data, case)
    folder.rename(data / "test" / "Utrecht" / folder.name)
    with pytest.raises(SplitError, match=f"1 of the plan's validation cases are test cases here: {case}"):
        tune(checkpoint, f"wmh2017:{data}")


def test_other_images_of_the_same_id_never_choose(checkpoint: Path, data: Path):
    (case,) = open_checkpoint(checkpoint).plan.validation_cases
    path = folder_of(data, case) / "pre" / "T1.nii.gz"
    save(path, np.asarray(nibabel.load(path).dataobj) + 1)
    with pytest.raises(LayoutError, match=f"others under the same id: {case}"):
        tune(checkpoint, f"wmh2017:{data}")


def test_a_test_case_of_the_split_file_never_chooses(checkpoint: Path, data: Path, tmp_path: Path):
    (case,) = open_checkpoint(checkpoint).plan.validation_cases
    for part, said in (("test", "are test cases here"), ("sealed", "sealed test set")):
        (tmp_path / "split.csv").write_text(f"id,part\n{case},{part}\n")
        with pytest.raises(SplitError, match=said):
            tune(checkpoint, f"wmh2017:{data}", split_file=tmp_path / "split.csv")


def test_missing_validation_cases_are_said(checkpoint: Path, data: Path, caplog: pytest.LogCaptureFixture):
    plan = json.loads((checkpoint / "plan.json").read_text())
    plan["validation_cases"].append("Utrecht_77")
    del plan["validation_images"], plan["training_images"]  # as plans were before they had keys
    (checkpoint / "plan.json").write_text(json.dumps(plan))
    tuned = tune(checkpoint, f"wmh2017:{data}", thresholds=(0.5,), smallest_lesions_mm3=(0.0,))
    assert "1 of 2 validation cases are used; missing: Utrecht_77" in caplog.text
    assert tuned.postprocessing.chosen_by == "highest mean dice of 1 of 2 validation cases"


def test_a_mask_that_does_not_belong_to_the_scan_is_refused(checkpoint: Path, data: Path):
    (case,) = open_checkpoint(checkpoint).plan.validation_cases
    path = folder_of(data, case) / "wmh.nii.gz"
    label = np.asarray(nibabel.load(path).dataobj)
    save(path, label * 7)
    with pytest.raises(CasesError, match=rf"case {case}: .*7"):
        tune(checkpoint, f"wmh2017:{data}")
    save(path, label, np.diag([1.0, 1.0, 3.0, 1.0]))
    with pytest.raises(CasesError, match=r"1 of 1 that cannot: .*wmh"):
        tune(checkpoint, f"wmh2017:{data}")
