"""What is special to tables; the rest is in tests/test_all_layouts.py."""

from pathlib import Path

import pytest

from lesionlab.core.errors import LayoutError
from lesionlab.layouts import Table
from lesionlab.layouts.tables import read_table, split_named


def write(folder: Path, text: str, *files: str, name: str = "cohort.csv") -> None:
    (folder / name).write_text(text, encoding="utf-8")
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_all_columns(tmp_path: Path):
    text = "id,group,site,split,category,label,flair,dwi\n1,anna,Ulm,val,ms,m.nii,f.nii,d.nii\n"
    write(tmp_path, text, "m.nii", "f.nii", "d.nii")
    dataset = Table(tmp_path)
    (case,) = dataset.cases()
    assert dataset.modalities == ("flair", "dwi")
    assert (case.id, case.group, case.site, case.split, case.category) == ("1", "anna", "Ulm", "validation", "ms")
    assert (case.label, case.images["dwi"]) == (tmp_path / "m.nii", tmp_path / "d.nii")


def test_a_mask_of_the_brain_is_no_modality(tmp_path: Path):
    write(tmp_path, "id,flair,brain_mask\n1,f.nii,b.nii\n2,f.nii,\n", "f.nii", "b.nii")
    dataset = Table(tmp_path)
    assert dataset.modalities == ("flair",)
    assert [case.brain_mask for case in dataset.cases()] == [tmp_path / "b.nii", None]


def test_only_what_is_needed_and_paths_from_the_root(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "scan.nii").touch()
    write(tmp_path / "data", f"ct,id\n{tmp_path / 'scan.nii'},a\n\n")
    (case,) = Table(tmp_path / "data").cases()
    assert (case.id, case.group, case.label, case.images["ct"]) == ("a", "a", None, tmp_path / "scan.nii")


def test_an_empty_cell_is_a_modality_that_the_case_lacks(tmp_path: Path):
    write(tmp_path, "id,flair,t1\na,f.nii,\nb,f2.nii,t.nii\n", "f.nii", "f2.nii", "t.nii")
    assert [set(case.images) for case in Table(tmp_path).cases()] == [{"flair"}, {"flair", "t1"}]


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_tables_of_spreadsheets(tmp_path: Path, delimiter: str):
    text = "\ufeffid,site,flair\r\nä,Köln,f.nii\r\n".replace(",", delimiter)
    write(tmp_path, text, "f.nii")
    (case,) = Table(tmp_path).cases()
    assert (case.id, case.site) == ("ä", "Köln")


def test_meaning_of_masks_and_the_choice_of_a_table(tmp_path: Path):
    for name in ("a.csv", "b.csv"):
        write(tmp_path, "id,flair\n1,f.nii\n", "f.nii", name=name)
    with pytest.raises(LayoutError, match=r"a\.csv and b\.csv"):
        Table(tmp_path)
    (tmp_path / "lesionlab.toml").write_text('file = "b.csv"\nignored = [3]\n[regions]\nlesion = [1, 2]\n')
    dataset = Table(tmp_path)
    assert (dataset.labels.regions, dataset.labels.ignored) == ({"lesion": {1, 2}}, {3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,flair\n,f.nii\n", "an id without slashes"),
        ("id,flair\n../a,f.nii\n", "an id without slashes"),
        ("id,flair\na,\n", "at least one image"),
        ("id,flair\na,f.nii\na,f.nii\n", "more than one case 'a'"),
        ("id,flair,split\na,f.nii,trian\n", "'trian'"),
        ("id,flair,flair\na,f.nii,f.nii\n", "names of their own"),
        ("id,flair\na,f.nii,x\n", "rows of 2 cells"),
        ("id,flair,label\na,f.nii,gone.nii\n", r"a mask for case 'a', gone\.nii"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, message: str):
    write(tmp_path, text, "f.nii")
    with pytest.raises(LayoutError, match=message):
        list(Table(tmp_path).cases())


def test_a_table_in_another_encoding_is_refused(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes("id,site\nä,Köln".encode("latin-1"))
    with pytest.raises(LayoutError, match="UTF-8"):
        read_table(tmp_path / "t.csv")


def test_words_of_splits():
    words = {"Train": "training", "valid": "validation", "testing": "test", "": None}
    assert {word: split_named(word, where=Path("t")) for word in words} == words
