"""Names that become part of file names: of regions, modalities, classes and cases."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from lesionlab.core.errors import UnsafeNameError

LONGEST_BYTES = 115
"""In UTF-8; a case's and a region's name fit together into the 255 bytes that file systems allow a file's name."""

_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
"""Names that Windows gives to devices, whatever their ending."""

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of control characters, direction marks, halves of characters, line ends and unassigned codes."""


def check_name(text: str, *, what: str, where: str | Path) -> str:
    """Return `text` where it may stand in a file's name.

    Letters of any script, digits, inner spaces and punctuation but slashes may; so that nothing which a received file
    names is written outside the folder that the user gave.

    Args:
        text: The name.
        what: What it names, as a noun phrase: "a region".
        where: The file, folder or key that it comes from.

    Raises:
        UnsafeNameError: It is empty or longer than `LONGEST_BYTES`, has a slash, a backslash, "..", a control
            character, a dot or space at an end, or is a device's name.
    """
    if problem := _problem(text):
        raise UnsafeNameError(
            f"a name of {what} that can be part of a file's name",
            found=f"{text[:60]!r}, {problem}",
            where=where,
            next_step="rename it with letters, digits, - and _",
        )
    return text


def _checked(text: str) -> str:
    if problem := _problem(text):
        raise ValueError(f"{text[:60]!r} cannot be part of a file's name: {problem}")
    return text


FileName: TypeAlias = Annotated[str, AfterValidator(_checked)]
"""A name in a recipe, a plan or a dataset's own description, checked as `check_name` does where it is read."""


def _problem(text: str) -> str:
    """Return in a few words why `text` cannot be part of a file's name; empty where it can."""
    if not text:
        return "which is empty"
    if len(text.encode(errors="surrogatepass")) > LONGEST_BYTES:
        return f"longer than {LONGEST_BYTES} bytes"
    if set(text) & set("/\\") or ".." in text:
        return "which has a slash, a backslash or two dots"
    if text[0] == "." or text[-1] == "." or text != text.strip():
        return "with a dot or a space at its beginning or end"
    if any(unicodedata.category(character) in _UNSEEN for character in text):
        return "with a character that is not shown"
    return "the name of a device on Windows" if _DEVICES.match(text) else ""
