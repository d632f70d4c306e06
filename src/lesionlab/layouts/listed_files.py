"""Files that a list or table names one by one."""

from pathlib import Path

from lesionlab.core.errors import LayoutError
from lesionlab.layouts.image_files import ENDINGS, describe


def listed_file(path: Path, *, what: str, case_id: str, listed_in: str) -> Path:
    """Return `path` when there is such a file, or such a folder of a DICOM series.

    Args:
        path: As the list names it.
        what: What it is, as a noun phrase.
        case_id: Named in the message.
        listed_in: The name of the list.

    Raises:
        LayoutError: There is nothing.
    """
    if path.exists():
        return path
    raise LayoutError(
        f"{what} for case {case_id!r}, {path.name}, as {listed_in} has it",
        found=describe(path.parent),
        where=path.parent,
        next_step=f"add the file, or correct {listed_in}",
    )


def stem_of(path: Path) -> str:
    """Return a file's name without its ending: ``.nii.gz`` is one ending."""
    return next((path.name.removesuffix(ending) for ending in ENDINGS if path.name.endswith(ending)), path.stem)
