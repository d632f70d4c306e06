"""Tables of text that lie beside images: cases, participants, categories."""

from pathlib import Path

from lesionlab.core.errors import LayoutError
from lesionlab.core.split_rule import Part, strictest
from lesionlab.core.text_files import read_cells
from lesionlab.layouts.image_files import visible

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


KNOWN_COLUMNS = frozenset(
    {
        "id",
        "group",
        "site",
        "split",
        "category",
        "label",
        "brain_mask",
        "image_id",
        "participant_id",
        "case",
        "prediction",
        "session_id",
        "acq_time",
    }
)
"""Names of columns that mean the same in capitals."""


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table whose first line names its columns, in any form that `read_cells` reads.

    Raises:
        LayoutError: The file is no table, names a column twice, or a row has more cells than columns.
    """
    try:
        first, *lines = read_cells(path) or [[]]
    except (OSError, ValueError) as error:
        raise _error(path, "a table as text", str(error), "save it again as CSV") from error
    columns = _folded(first)
    if len(set(columns)) < len(columns):
        raise _error(path, "columns with names of their own", ", ".join(first), "rename one of them")
    if any(len(cells) > len(columns) for cells in lines):
        raise _error(path, f"rows of {len(columns)} cells", "a longer one", "put texts with commas in quotes")
    return [dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False)) for cells in lines]


def columns_of(path: Path) -> list[str]:
    """Return the columns of a table with rows, which may be somebody else's; none of what is no table."""
    try:
        lines = read_cells(path)
    except (OSError, ValueError):
        return []
    return _folded(lines[0]) if len(lines) > 1 else []


def tables_in(folder: Path) -> list[Path]:
    """Return the visible tables that lie directly in a folder."""
    return [path for path in visible(folder) if path.suffix.lower() in ENDINGS and path.is_file()]


def _folded(columns: list[str]) -> list[str]:
    return [column.lower() if column.lower() in KNOWN_COLUMNS else column for column in columns]


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


def _error(path: Path, wanted: str, found: str, next_step: str) -> LayoutError:
    return LayoutError(wanted, found=found, where=path, next_step=next_step)
