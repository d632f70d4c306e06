"""Files that a list or table names one by one."""

import os
import re
import unicodedata
from pathlib import Path

from lesionlab.core.errors import LayoutError
from lesionlab.layouts.image_files import describe

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def listed_file(folder: Path, listed: str, *, what: str, case_id: str, listed_in: str) -> Path:
    r"""Return the file, or the folder of a DICOM series, that a list names.

    Composed and decomposed letters (ü as one sign or two) count as equal, and backslashes as slashes where there is no
    file with backslashes in its name.

    Args:
        folder: Where relative paths begin.
        listed: The path as the list has it.
        what: What it is, as a noun phrase.
        case_id: Named in the message.
        listed_in: The name of the list.

    Raises:
        LayoutError: There is nothing, or the path is one of Windows (``C:\scans``).
    """
    if _DRIVE.match(listed):
        raise LayoutError(
            f"{what} for case {case_id!r} by a path below the folder of {listed_in}",
            found=f"a path of Windows, {listed}",
            where=folder,
            next_step=f"write paths in {listed_in} as they begin in this folder",
        )
    spellings = dict.fromkeys((listed, listed.replace("\\", "/")))
    path = next((found for spelt in spellings if (found := _spelt_as_stored(folder, spelt)) is not None), None)
    if path is not None:
        return path
    missing = folder / list(spellings)[-1]
    raise LayoutError(
        f"{what} for case {case_id!r}, {missing.name}, as {listed_in} has it",
        found=describe(missing.parent),
        where=missing.parent,
        next_step=f"add the file, or correct {listed_in}",
    )


def _spelt_as_stored(folder: Path, listed: str) -> Path | None:
    """Return the path that leads to something, its letters composed or decomposed; None where none does."""
    path = folder / listed
    if os.path.lexists(path):
        return path
    place = Path(path.anchor) if Path(listed).is_absolute() else folder
    for name in Path(listed).parts[1 if Path(listed).is_absolute() else 0 :]:
        spellings = dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))))
        stored = next((place / spelt for spelt in spellings if os.path.lexists(place / spelt)), None)
        if stored is None:
            return None
        place = stored
    return place
