"""A split table reads as it was written, and refuses what would spoil a score."""

from pathlib import Path

import pytest

from lesionlab.core.case import Case
from lesionlab.core.errors import SplitError
from lesionlab.core.split import SplitRow, SplitTable, divide, hash_case, read_split, refuse_sealed

HEADER = "id,group,site,fold,part\n"


def row(name: str, part: str, *, group: str = "", fold: int | None = None) -> SplitRow:
    return SplitRow(id=name, group=group or name, site="Utrecht", fold=fold, part=part)


TABLE = SplitTable(
    rows=(
        row("a1", "training", group="anna", fold=0),
        row("a2", "training", group="anna", fold=0),
        row("b", "training", fold=1),
        row("c", "test"),
        row("d", "sealed"),
        row("e", "validation"),
    )
)


def case(name: str, group: str = "") -> Case:
    return Case(id=name, images={}, label=None, group=group or name)


CASES = (case("a1", "anna"), case("a2", "anna"), *map(case, "bcdef"))


def text_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "split.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_it_reads_as_it_was_written(tmp_path: Path):
    TABLE.write(tmp_path / "split.csv")
    assert read_split(tmp_path / "split.csv") == TABLE
    assert (tmp_path / "split.csv").read_text().splitlines()[1] == "a1,anna,Utrecht,0,training"


def test_people_may_write_less(tmp_path: Path):
    """As a spreadsheet saves it: with a byte order mark, spaces, a further column and no site, fold or patient."""
    path = text_of(tmp_path, "\ufeffpart,id,remark\n test ,b,late\ntraining,a,\n")
    rows = read_split(path).rows
    assert rows == (
        SplitRow(id="b", group="b", site="", fold=None, part="test"),
        SplitRow(id="a", group="a", site="", fold=None, part="training"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column 'id'"),
        ("id,part\n", "no case"),
        ("id,fold\na,1\n", "no column 'part'"),
        (HEADER + "a,,,,training\na,,,,training\n", "a twice"),
        (HEADER + "a,,,,trainin\n", "did you mean 'training'"),
        (HEADER + ",,,,test\n", "an empty cell"),
        (HEADER + "a,,,one,training\n", "'one'"),
        (HEADER + "a,anna,,,training\nb,anna,,,test\n", "patient anna in training and test (cases a, b)"),
        (HEADER + "a,anna,,,training\nb,anna,,,sealed\n", "patient anna in training and sealed"),
        (HEADER + "a,anna,,0,training\nb,anna,,1,training\n", "patient anna in fold 0 and fold 1"),
        (HEADER + "a,anna,,0,training\nb,anna,,,training\n", "patient anna in fold 0 and no fold"),
        (HEADER + "a,,,0,training\nb,,,1,validation\n", "case b of part validation in fold 1"),
        (HEADER + "a,,,0,training\nb,,,1,test\n", "case b of part test in fold 1"),
        (HEADER + "a,,,0,sealed\n", "case a of part sealed in fold 0"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str):
    with pytest.raises(SplitError) as caught:
        read_split(text_of(tmp_path, text))
    assert said in str(caught.value)
    assert "split.csv" in caught.value.where


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(SplitError, match="lesionlab split"):
        read_split(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("fold", "validation"),
    [(None, {"e"}), (0, {"a1", "a2", "e"}), (1, {"b", "e"})],
)
def test_dividing(fold: int | None, validation: set[str]):
    divided = divide(CASES, TABLE, where="split.csv", fold=fold)
    parts = {part: {one.id for one in divided if one.split == part} for part in ("training", "validation", "test")}
    assert parts["test"] == {"c", "d"}
    assert parts["validation"] == validation
    assert parts["training"] == {"a1", "a2", "b"} - validation
    assert "f" not in {one.id for one in divided}


def test_a_fold_that_is_not_there():
    with pytest.raises(SplitError, match="wanted a fold 7; found the folds 0, 1"):
        divide(CASES, TABLE, where="split.csv", fold=7)


def test_a_case_that_is_not_there():
    with pytest.raises(SplitError, match="1 others: e"):
        divide(CASES[:-2], TABLE, where="split.csv")


def test_a_patient_that_only_the_dataset_knows_is_refused():
    shared = (case("a1", "anna"), case("a2", "anna"), case("b"), case("c", "anna"), case("d"), case("e"))
    with pytest.raises(SplitError, match="patient anna in training and test"):
        divide(shared, TABLE, where="split.csv")


def test_sealed_cases_are_known_by_their_hash():
    assert TABLE.sealed == (hash_case("d"),)
    assert len(hash_case("d")) == 64
    refuse_sealed(["a1", "b"], TABLE.sealed, where="plan")
    with pytest.raises(SplitError, match="1 of the sealed test set: d"):
        refuse_sealed(["a1", "d"], TABLE.sealed, where="plan")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "sep={}\r\n"])
def test_a_split_reads_however_a_spreadsheet_saved_it(tmp_path: Path, encoding: str, separator: str, first: str):
    lines = ["id,part,fold", "Zoë,training,1", "b,test,"]
    path = tmp_path / "split.csv"
    text = first.format(separator) + "\r\n".join(lines).replace(",", separator)
    path.write_bytes(text.encode(encoding))
    assert [(row.id, row.part, row.fold) for row in read_split(path).rows] == [
        ("Zoë", "training", 1),
        ("b", "test", None),
    ]
    path.write_bytes(text.replace("test", "tset").encode(encoding))
    with pytest.raises(SplitError, match=f"line {4 if first else 3};"):
        read_split(path)
