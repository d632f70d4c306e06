"""Tables of text that lie beside images: cases, participants, categories."""

import csv
import io
from pathlib import Path

from lesionlab.core.errors import LayoutError
from lesionlab.core.split_rule import Part, strictest

SPLIT_WORDS: dict[str, Part] = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
    "sealed": "sealed",
}
"""How tables and folders spell the splits, in lower case."""

ENDINGS = (".csv", ".tsv")


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table whose first line names its columns; cells are stripped, empty lines left out.

    Columns may be divided by commas, semicolons or tabs: whichever the first line has most of.

    Raises:
        LayoutError: The file cannot be read as UTF-8, names a column twice, or a row has more cells than columns.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first, *lines = [*csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _error(path, "a table in UTF-8", str(error), "save it again as CSV in UTF-8") from error
    columns = [cell.strip() for cell in first]
    if len(set(columns)) < len(columns):
        raise _error(path, "columns with names of their own", ", ".join(columns), "rename one of them")
    if any(len(cells) > len(columns) for cells in lines):
        raise _error(path, f"rows of {len(columns)} cells", "a longer one", "put texts with commas in quotes")
    rows = [dict(zip(columns, (cell.strip() for cell in cells), strict=False)) for cells in lines]
    return [dict.fromkeys(columns, "") | row for row in rows if any(row.values())]


def split_named(word: str, *, where: Path) -> Part | None:
    """Return the split that a cell names, or None for an empty one.

    Raises:
        LayoutError: The word names none.
    """
    if not word:
        return None
    if word.lower() not in SPLIT_WORDS:
        raise _error(
            where, "one of training, validation, test, sealed", repr(word), "correct the split, or leave it empty"
        )
    return SPLIT_WORDS[word.lower()]


def split_of_folders(path: Path) -> Part | None:
    """Return the strictest split that a folder on a path names with its whole name; None where none does."""
    return strictest(SPLIT_WORDS.get(part.lower()) for part in path.parts)


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def _error(path: Path, wanted: str, found: str, next_step: str) -> LayoutError:
    return LayoutError(wanted, found=found, where=path, next_step=next_step)
