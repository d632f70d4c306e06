from dataclasses import replace
from pathlib import Path

import pytest

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError
from lesionlab.workflows.prediction_files import match_predictions

CASES = [Case(id=name, images={}, label=Path("reference.nii.gz"), group=name) for name in ("sub-01", "sub-02")]


def touch(*paths: Path) -> list[Path]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return list(paths)


@pytest.mark.parametrize("name", ["{}_mask.nii.gz", "{}.nii.gz", "{}.nii", "{}_pred.nii.gz"])
def test_a_folder_of_files(tmp_path: Path, name: str) -> None:
    files = touch(tmp_path / name.format("sub-01"), tmp_path / name.format("sub-02"))
    assert list(match_predictions(tmp_path, CASES).values()) == files


def test_bids_derivatives(tmp_path: Path) -> None:
    files = touch(
        tmp_path / "sub-01" / "anat" / "sub-01_space-orig_label-lesion_mask.nii.gz",
        tmp_path / "sub-02" / "ses-1" / "anat" / "sub-02_ses-1_dseg.nii.gz",
    )
    touch(tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    assert list(match_predictions(tmp_path, CASES).values()) == files


def test_a_table_of_pairs(tmp_path: Path) -> None:
    files = touch(tmp_path / "masks" / "first.nii.gz", tmp_path / "masks" / "second.nii.gz")
    (tmp_path / "pairs.csv").write_text("case,prediction\nsub-01,masks/first.nii.gz\nsub-02,masks/second.nii.gz\n")
    assert list(match_predictions(tmp_path / "pairs.csv", CASES).values()) == files


def test_two_files_of_one_case_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "sub-01" / "sub-01_run-1_mask.nii.gz", tmp_path / "sub-01" / "sub-01_run-2_mask.nii.gz")
    with pytest.raises(LayoutError, match="one predicted mask of case sub-01"):
        match_predictions(tmp_path, CASES)


def test_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("case,prediction\nsub-01,none.nii.gz\n")
    with pytest.raises(LayoutError, match=r"a predicted mask for case 'sub-01', none\.nii\.gz, as pairs\.csv has it"):
        match_predictions(tmp_path / "pairs.csv", CASES)
    (tmp_path / "pairs.csv").write_text("case,prediction\nsub-09,none.nii.gz\n")
    with pytest.raises(LayoutError, match=r"none for 2 of 2: sub-01, sub-02.*predict the missing cases"):
        match_predictions(tmp_path / "pairs.csv", CASES)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("name", ["pairs.csv", "pairs.CSV", "pairs.tsv", "pairs.txt"])
def test_pairs_with_any_separator(tmp_path: Path, delimiter: str, name: str) -> None:
    files = touch(tmp_path / "first.nii.gz", tmp_path / "second.mha")
    lines = ["Case,Prediction", "sub-01,first.nii.gz", "sub-02,second.mha"]
    (tmp_path / name).write_text("\n".join(lines).replace(",", delimiter), encoding="utf-16")
    assert list(match_predictions(tmp_path / name, CASES).values()) == files


def test_missing_references_are_no_missing_predictions(tmp_path: Path) -> None:
    touch(*(tmp_path / f"{case.id}_mask.nii.gz" for case in CASES))
    unlabelled = [replace(case, label=None) for case in CASES]
    with pytest.raises(LayoutError, match=r"a reference mask .* none for 2 of 2.*add the references"):
        match_predictions(tmp_path, unlabelled)
