"""Which case is for training, validation or test: a table that people can read and edit."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import SplitError
from lesionlab.core.registry import nearest_name
from lesionlab.core.split_rule import STRICTNESS, check_patients, name_cases, part_of, settle_splits, split_fields
from lesionlab.core.split_rule import Part as Part
from lesionlab.core.storage import write_text_atomically
from lesionlab.core.text_files import read_numbered_cells

COLUMNS = ("id", "group", "site", "fold", "part")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRow:
    """Where one case belongs.

    Attributes:
        id: Of the case.
        group: Its patient; all cases of a patient are in one part and one fold.
        site: Where it was acquired, for the reader; empty where nobody knows.
        fold: The fold in which it validates, counted from 0; None for a case that is in no fold.
        part: "sealed" is a test set that training and tuning refuse and whose evaluations are counted.
    """

    id: str
    group: str
    site: str
    fold: int | None
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTable:
    """A division of a dataset's cases.

    Attributes:
        rows: One per case.
    """

    rows: tuple[SplitRow, ...]

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds there are, in order."""
        return tuple(sorted({row.fold for row in self.rows if row.fold is not None}))

    @property
    def sealed(self) -> tuple[str, ...]:
        """SHA-256 of the ids of the sealed cases, in order."""
        return tuple(sorted(hash_case(row.id) for row in self.rows if row.part == "sealed"))

    def check_patients(self, *, where: str | Path) -> None:
        """Refuse a patient in two parts or in two folds.

        Raises:
            SplitError: One is.
        """
        for what, place_of in _DIVISIONS.items():
            check_patients(((row.id, row.group, place_of(row)) for row in self.rows), what=what, where=where)

    def write(self, path: Path) -> None:
        """Write the table as CSV with the columns id, group, site, fold and part.

        Raises:
            StorageError: The file could not be written whole.
        """
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows:
            writer.writerow([row.id, row.group, row.site, "" if row.fold is None else row.fold, row.part])
        write_text_atomically(path, stream.getvalue())


_DIVISIONS: dict[str, Callable[[SplitRow], str]] = {
    "part": lambda row: row.part,
    "fold": lambda row: "no fold" if row.fold is None else f"fold {row.fold}",
}


def read_split(path: Path) -> SplitTable:
    """Read a table of cases; the columns site and fold may be absent, further columns are for people.

    Raises:
        SplitError: The file is no such table, a case is in it twice, one that is not for training has a fold, or a
            patient is in two parts or folds.
    """
    header, lines = _read_table(path)
    missing = [name for name in ("id", "part") if name not in header]
    if missing or not lines:
        found = f"no column {missing[0]!r}" if missing else "no case"
        raise _error("a table with the columns id, group, site, fold and part", found=found, where=path)
    rows = tuple(_row(cells, where=f"{path}, line {number}") for number, cells in lines.items())
    repeated = _repeated(row.id for row in rows)
    if repeated:
        raise _error("every case once", found=f"{repeated} twice", where=path)
    table = SplitTable(rows=rows)
    table.check_patients(where=path)
    return table


def divide(cases: Sequence[Case], table: SplitTable, *, where: str | Path, fold: int | None = None) -> tuple[Case, ...]:
    """Return the cases of the table, each with the patient that the table gives it and the strictest split.

    Sealed cases become test cases. Cases that are not in the table are left out. A table may set cases of the dataset
    aside for validation or test; it may not take back those that the dataset itself sets aside, unless only a fold of
    the dataset's own did.

    Args:
        cases: Of a dataset.
        table: Its division.
        where: The file of the table, for messages.
        fold: The training cases of this fold are for validation; None leaves every case in its part.

    Raises:
        SplitError: The table names a case that there is not, has no such fold, or takes back a case that the dataset
            sets aside; or the dataset knows that a patient is in two parts.
    """
    by_id = {case.id: case for case in cases}
    absent = [row.id for row in table.rows if row.id not in by_id]
    if absent:
        found = f"{len(absent)} others: {name_cases(absent)}"
        raise _error("cases of this dataset", found=found, where=where, next_step="correct or delete these lines")
    if fold is not None and fold not in table.folds:
        found = f"the folds {', '.join(map(str, table.folds))}" if table.folds else "none"
        raise _error(f"a fold {fold}", found=found, where=where, next_step="choose another --fold")
    known = tuple(replace(row, group=by_id[row.id].group) for row in table.rows)
    SplitTable(rows=known).check_patients(where=where)
    sources = {
        row.id: {"the dataset": _declared(by_id[row.id]), "the split file": _part_in(row, fold)} for row in table.rows
    }
    splits = settle_splits(sources, where=where)
    return tuple(replace(by_id[row.id], group=row.group, **split_fields(splits[row.id])) for row in table.rows)


def hash_case(case_id: str) -> str:
    """Return the SHA-256 of a case's id, as plans keep it of sealed cases."""
    return hashlib.sha256(case_id.encode()).hexdigest()


def refuse_sealed(case_ids: Iterable[str], sealed: Iterable[str], *, where: str | Path) -> None:
    """Refuse cases of a sealed test set.

    Args:
        case_ids: What somebody wants to learn or choose from.
        sealed: As in a plan.
        where: Where the seal is kept.

    Raises:
        SplitError: One of the cases is sealed.
    """
    hashes = set(sealed)
    opened = [case_id for case_id in case_ids if hash_case(case_id) in hashes]
    if opened:
        raise _error(
            "cases that are not sealed",
            found=f"{len(opened)} of the sealed test set: {name_cases(opened)}",
            where=where,
            next_step="leave them out: they are for evaluation alone; train with the split file that sealed them",
        )


def _declared(case: Case) -> Part | None:
    return None if case.split_by_fold else part_of(case)


def _part_in(row: SplitRow, fold: int | None) -> Part:
    return "validation" if row.part == "training" and fold is not None and row.fold == fold else row.part


def _read_table(path: Path) -> tuple[tuple[str, ...], dict[int, dict[str, str]]]:
    """Return the header, and the cells of every line by its number."""
    try:
        lines = read_numbered_cells(path)
    except (OSError, ValueError) as error:
        raise _error("a split file", found=str(error), where=path, next_step="make one: lesionlab split") from error
    header = tuple(lines.pop(min(lines))) if lines else ()
    return header, {number: dict(zip(header, cells, strict=False)) for number, cells in lines.items()}


def _row(cells: dict[str, str], *, where: str) -> SplitRow:
    words = {name: cells.get(name, "") for name in COLUMNS}
    if not words["id"]:
        raise _error("the id of a case", found="an empty cell", where=where)
    if words["part"] not in STRICTNESS:
        advice = nearest_name(words["part"], list(STRICTNESS))
        raise _error("a part", found=repr(words["part"]), where=where, next_step=advice)
    if words["fold"] and not (words["fold"].isascii() and words["fold"].isdigit()):
        raise _error("a fold counted from 0, or nothing", found=repr(words["fold"]), where=where)
    if words["fold"] and words["part"] != "training":
        raise _error(
            "a fold for training cases alone: folds take turns in training and validation",
            found=f"case {words['id']} of part {words['part']} in fold {words['fold']}",
            where=where,
            next_step="empty its cell of the column fold, or make it a training case",
        )
    return SplitRow(
        id=words["id"],
        group=words["group"] or words["id"],
        site=words["site"],
        fold=int(words["fold"]) if words["fold"] else None,
        part=words["part"],
    )


def _repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""


def _error(wanted: str, *, found: str, where: str | Path, next_step: str = "correct the file") -> SplitError:
    return SplitError(wanted, found=found, where=where, next_step=next_step)
