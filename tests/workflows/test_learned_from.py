"""Whoever predicts or scores what a network learned from is told so, in whatever layout and by whatever verb."""

import json
import shutil
from pathlib import Path

import pytest

from lesionlab.workflows.evaluate import evaluate
from lesionlab.workflows.longitudinal import evaluate_longitudinal
from lesionlab.workflows.made_by import LEARNED
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained

TRAINING = "3 of 4 cases are training cases, which the weights were fitted to: "
VALIDATION = "1 of 4 cases are validation cases, which weights and settings were chosen by: "


@pytest.fixture
def checkpoint(trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


def as_table(cohort: Path, folder: Path, *, visits: bool = False) -> str:
    """Write the four learned cases as a table, under ids of their own."""
    folder.mkdir()
    rows = ["id,group,label,flair,t1"]
    for number in range(4):
        own = cohort / "training" / "Utrecht" / str(number)
        patient = number // 2 if visits else number
        rows.append(f"p{number},q{patient},{own}/wmh.nii.gz,{own}/pre/FLAIR.nii.gz,{own}/pre/T1.nii.gz")
    (folder / "cases.csv").write_text("\n".join(rows))
    return f"table:{folder}"


def test_training_cases_are_named_everywhere(
    checkpoint: Path, cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = as_table(cohort, tmp_path / "same")
    predict(checkpoint, data, tmp_path / "masks")
    assert TRAINING in caplog.text
    assert VALIDATION in caplog.text
    caplog.clear()
    evaluation = evaluate(tmp_path / "masks", data, tmp_path / "report")
    for said in (caplog.text, evaluation.page.read_text(), (tmp_path / "report" / "summary.json").read_text()):
        assert TRAINING in said
        assert VALIDATION in said
    (result,) = json.loads((checkpoint / "best" / "model_card.json").read_text())["results"]
    assert (result["learned_from"], result["chosen_by"], result["cases"]) == (3, 1, 4)


def test_visits_of_training_cases_are_named(
    checkpoint: Path, cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = as_table(cohort, tmp_path / "visits", visits=True)
    predict(checkpoint, data, tmp_path / "masks")
    caplog.clear()
    followed = evaluate_longitudinal(tmp_path / "masks", data, tmp_path / "report")
    assert TRAINING in caplog.text
    assert TRAINING in followed.files[0].read_text()


def test_nothing_is_said_of_other_cases(
    checkpoint: Path, cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = f"wmh2017:{cohort}"
    predict(checkpoint, data, tmp_path / "masks", split="test")
    evaluation = evaluate(tmp_path / "masks", data, tmp_path / "report", split="test")
    assert "cases are" not in caplog.text
    assert LEARNED not in evaluation.report.provenance
