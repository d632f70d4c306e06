"""Every prediction remembers its checkpoint, and only the checkpoint that made all of them is credited."""

import shutil
from pathlib import Path

import pytest
from tiny_training import phantom, save

from lesionlab.core.model_card import read_card
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.engine.checkpoint import open_checkpoint, save_postprocessing
from lesionlab.workflows.evaluate import MADE_BY, evaluate
from lesionlab.workflows.made_by import NOTE_FILE, Makers, makers_of_masks, note_maker, read_maker
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained

TEST, TRAINING = ("Utrecht_9",), ("Utrecht_0", "Utrecht_1", "Utrecht_2", "Utrecht_3")


@pytest.fixture
def runs(trained: Trained, tmp_path: Path) -> dict[str, Path]:
    """Two trainings that differ in what was tuned."""
    folders = {name: Path(shutil.copytree(trained.folder, tmp_path / name)) for name in ("A", "B")}
    for folder, threshold in zip(folders.values(), (0.4, 0.3), strict=True):
        save_postprocessing(open_checkpoint(folder), Postprocessing(threshold=threshold))
    return folders


@pytest.fixture
def masks(runs: dict[str, Path], cohort: Path, tmp_path: Path) -> Path:
    """A folder in which A predicted the test case, and B the others later."""
    for name, split in (("A", "test"), ("B", "training")):
        predict(runs[name], f"wmh2017:{cohort}", tmp_path / "masks", split=split)
    return tmp_path / "masks"


def makers_of(folder: Path, ids: tuple[str, ...]) -> Makers:
    return makers_of_masks({case_id: folder / f"{case_id}_mask.nii.gz" for case_id in ids})


def credited(run: Path) -> list[int]:
    return [result.cases for result in read_card(run / "best").results]


def test_the_masks_of_one_checkpoint_are_its_own_whoever_came_last(
    masks: Path, runs: dict[str, Path], cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = f"wmh2017:{cohort}"
    evaluation = evaluate(masks, data, tmp_path / "report", split="test")
    assert (credited(runs["A"]), credited(runs["B"])) == ([1], [])
    assert evaluation.report.provenance[MADE_BY].startswith("A (key ")
    mixed = evaluate(masks, data, tmp_path / "report")
    assert (credited(runs["A"]), credited(runs["B"])) == ([1], [])
    assert "not all is of one checkpoint" in caplog.text
    assert "A (key " in mixed.report.provenance[MADE_BY]
    assert "B (key " in mixed.report.provenance[MADE_BY]


def test_who_made_a_mask_is_known_wherever_it_was_copied_with_its_notes(masks: Path, tmp_path: Path):
    copied = Path(shutil.copytree(masks, tmp_path / "copied"))
    for folder in (masks, copied):
        assert makers_of(folder, TEST).sole.training.name == "A"
        assert makers_of(folder, TRAINING).sole.training.name == "B"
        assert makers_of(folder, TEST + TRAINING).sole is None
    pairs = {"other_id": masks / "Utrecht_9_mask.nii.gz"}
    assert makers_of_masks(pairs).sole.training.name == "A"
    (copied / NOTE_FILE).unlink()
    assert makers_of(copied, TEST).made == {}


def test_a_mask_that_somebody_changed_is_nobody_s(masks: Path):
    save(masks / "Utrecht_1_mask.nii.gz", phantom(50)[2])
    makers = makers_of(masks, TRAINING)
    assert makers.sole is None
    assert makers.changed == {"Utrecht_1"}
    assert "changed since they were written: 1 cases" in makers.describe()


def test_a_mask_without_a_note_makes_the_rest_nobody_s(masks: Path):
    save(masks / "other_mask.nii.gz", phantom(50)[2])
    makers = makers_of(masks, (*TEST, "other"))
    assert makers.sole is None
    assert "unknown: 1 cases" in makers.describe()


def test_makers_of_which_nothing_is_left_are_not_kept(masks: Path, runs: dict[str, Path], cohort: Path):
    predict(runs["B"], f"wmh2017:{cohort}", masks)
    predict(runs["B"], f"wmh2017:{cohort}", masks)
    assert "/A/" not in (masks / NOTE_FILE).read_text()
    assert makers_of(masks, TEST + TRAINING).sole == read_maker(masks)


def test_a_damaged_note_is_written_anew(masks: Path, runs: dict[str, Path]):
    (masks / NOTE_FILE).write_text("{}")
    note_maker(open_checkpoint(runs["B"]), masks)
    assert makers_of(masks, TRAINING).sole.training.name == "B"
    assert makers_of(masks, TEST).sole is None
