"""What is special to tables; the rest is in tests/test_all_layouts.py."""

import csv
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_datasets import write_picture

from lesionlab.core.errors import LayoutError
from lesionlab.layouts import ImageMask, Table
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


def test_binary_data_are_no_table(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(bytes(range(256)))
    with pytest.raises(LayoutError, match="binary"):
        read_table(tmp_path / "t.csv")


def test_words_of_splits():
    words = {"Train": "training", "valid": "validation", "testing": "test", "": None}
    assert {word: split_named(word, where=Path("t")) for word in words} == words


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]


@settings(deadline=None, max_examples=60)
@given(
    cells=st.lists(
        st.lists(st.text("abcäöüß 0,5;|\n\t", max_size=6).map(str.strip), min_size=2, max_size=2),
        min_size=1,
        max_size=4,
    ),
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    is_excel=st.booleans(),
)
def test_tables_of_any_writer(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[list[str]],
    encoding: str,
    delimiter: str,
    line_end: str,
    is_excel: bool,
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end)
    writer.writerows([["id", "größe"], *(["1" + first, second] for first, second in cells)])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(((f"sep={delimiter}{line_end}" if is_excel else "") + stream.getvalue()).encode(encoding))
    assert read_table(path) == [{"id": "1" + first, "größe": second} for first, second in cells]


FOREIGN = {
    "code page": "Name;Größe\r\nä;1\r\n".encode("cp1252"),
    "UTF-16": "a,b\n1,2\n".encode("utf-16"),
    "a column twice": b"a,a\n1,2\n",
    "ragged": b"a,b\n1,2,3\n",
    "empty": b"",
    "binary": bytes(range(256)),
    "ages": b"id,age\np0,63\np1,41\n",
    "ages in unequal rows": b"id,age,age\np0,63\np1,41,3,4\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_tables_of_something_else_are_left_alone(tmp_path: Path, name: str):
    write(tmp_path, "id,label,flair\np0,m.nii,f.nii\n", "m.nii", "f.nii")
    (tmp_path / "a_clinical.csv").write_bytes(FOREIGN[name])
    (case,) = Table(tmp_path).cases()
    assert case.label == tmp_path / "m.nii"
    write_picture(tmp_path / "images" / "p0.png")
    assert [case.id for case in ImageMask(tmp_path).cases()] == ["p0"]


@pytest.mark.parametrize("column", ["mask", "Seg", "SEGMENTATION", "Label"])
def test_a_column_of_masks_by_any_name(tmp_path: Path, column: str):
    write(tmp_path, f"ID,{column},T1w,FLAIR\na,m.nii,t.nii,f.nii\n", "m.nii", "t.nii", "f.nii")
    (case,) = Table(tmp_path).cases()
    assert (case.label, list(case.images)) == (tmp_path / "m.nii", ["t1", "flair"])


@pytest.mark.parametrize("columns", ["id,t1,T1w", "id,label,mask,t1"])
def test_two_columns_for_one_thing_are_refused(tmp_path: Path, columns: str):
    write(tmp_path, f"{columns}\n{','.join(['f.nii'] * (columns.count(',') + 1))}\n", "f.nii")
    with pytest.raises(LayoutError, match=r"one column for '(t1|label)'"):
        Table(tmp_path)


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_letters_are_equal(tmp_path: Path, written: str, stored: str):
    place = unicodedata.normalize(stored, "Müller/größe ä.nii")
    listed = unicodedata.normalize(written, "Müller/größe ä.nii")
    write(tmp_path, f"id,flair\na,{listed}\n", place)
    (case,) = Table(tmp_path).cases()
    assert case.images["flair"] == tmp_path / place


def test_paths_of_windows(tmp_path: Path):
    write(tmp_path, "id,flair\na,scans\\f.nii\n", "scans/f.nii")
    (case,) = Table(tmp_path).cases()
    assert case.images["flair"] == tmp_path / "scans" / "f.nii"
    write(tmp_path, "id,flair\na,C:\\scans\\f.nii\n")
    with pytest.raises(LayoutError, match="a path of Windows"):
        list(Table(tmp_path).cases())
