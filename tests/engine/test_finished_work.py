"""The record of finished cases."""

from pathlib import Path

import pytest

from lesionlab.engine.finished_work import FinishedWork


def finish(folder: Path) -> FinishedWork:
    work = FinishedWork(folder / "record.json")
    (folder / "masks").mkdir(exist_ok=True)
    (folder / "masks" / "a.nii").touch()
    work.add("a", [folder / "masks" / "a.nii"], key="1")
    return work


def test_what_was_finished_is_known_to_the_next_run(tmp_path: Path):
    finish(tmp_path)
    work = FinishedWork(tmp_path / "record.json")
    assert work.cases == ("a",)
    assert work.is_done("a", key="1")
    assert work.files("a") == (tmp_path / "masks" / "a.nii",)
    assert not work.is_done("a", key="2")
    assert not work.is_done("b", key="1")


def test_a_missing_file_is_not_done(tmp_path: Path):
    work = finish(tmp_path)
    (tmp_path / "masks" / "a.nii").unlink()
    assert not work.is_done("a", key="1")


def test_forgetting_removes_the_files(tmp_path: Path):
    work = finish(tmp_path)
    work.forget("a")
    work.forget("never there")
    assert work.cases == ()
    assert not (tmp_path / "masks" / "a.nii").exists()


@pytest.mark.parametrize("content", ["{", '{"a": 1}', '{"a": {"key": "1", "files": ["../b"]}}'])
def test_a_damaged_record_counts_as_nothing_done(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture):
    (tmp_path / "record.json").write_text(content)
    assert FinishedWork(tmp_path / "record.json").cases == ()
    assert "done again" in caplog.text
