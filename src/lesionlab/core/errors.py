"""Every error that a user can cause, in one tree.

LesionlabError
├── NameUnknownError      a network, layout, loss, ... that nobody registered
├── OptionError           an option that the chosen thing does not have, or a value it cannot take
├── UnsafeNameError       a name that cannot be part of a file's name
├── RecipeError           a recipe file that does not read
├── LayoutError           a folder that is not what its layout promises
├── ImageError            a file that is no sound image
├── GridError             images that should share a grid and do not
├── LabelError            label values that nobody declared
├── SplitError            a division of cases that would spoil a score, or a sealed case used too early
├── CheckpointError       a checkpoint that is damaged, or made for other inputs
├── PredictionError       a case that a network gives no sound answer for, or that memory is too small for
├── CasesError            cases that failed where every one is needed, named together
├── StorageError          a file that could not be written whole
└── FolderInUseError      a folder that another command writes into

Each says what was wanted, what was found, where, and what to do next, in one plain line.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path


class LesionlabError(Exception):
    """A user's error: one plain line, no traceback.

    Args:
        wanted: What lesionlab needed, as a noun phrase.
        found: What it met instead.
        where: The file, folder, option or recipe key that the reader should look at.
        next_step: What to do about it.
    """

    def __init__(self, wanted: str, *, found: str, where: str | Path, next_step: str) -> None:
        self.wanted = wanted
        self.found = found
        self.where = str(where)
        self.next_step = next_step
        super().__init__(_on_one_line(f"wanted {wanted}; found {found}; in {where}; next: {next_step}"))

    def __reduce__(self) -> tuple[Callable[[str], "LesionlabError"], tuple[str]]:
        """Let an error that a worker process raised come back whole."""
        return partial(type(self), found=self.found, where=self.where, next_step=self.next_step), (self.wanted,)


def _on_one_line(text: str) -> str:
    """Return text with line ends as spaces and what no terminal should be sent (control characters) written out."""
    line = " ".join(text.splitlines())
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in line)


class NameUnknownError(LesionlabError):
    """A name that no registry entry carries."""


class OptionError(LesionlabError):
    """An option that does not exist, or a value that it cannot take."""


class UnsafeNameError(LesionlabError):
    """A name that cannot be part of a file's name, such as one with a slash."""


class RecipeError(LesionlabError):
    """A recipe file that is missing, malformed or misspelt."""


class LayoutError(LesionlabError):
    """A folder that does not follow the layout it was announced with."""


class ImageError(LesionlabError):
    """A file that cannot be read as one sound image."""


class GridError(LesionlabError):
    """Two images that should lie on one grid and do not."""


class LabelError(LesionlabError):
    """Label values outside those that the layout declares."""


class SplitError(LesionlabError):
    """A division of cases that cannot be used, or a sealed case where only training may look."""


class CheckpointError(LesionlabError):
    """A checkpoint that is damaged, absent, or made for other inputs."""


class PredictionError(LesionlabError):
    """A case that gets no prediction: the network's numbers are none, or memory is too small."""


class CasesError(LesionlabError):
    """Cases that failed where every one is needed; each is named with its reason."""


class StorageError(LesionlabError):
    """A file that could not be written whole; nothing was left under its final name."""


class FolderInUseError(LesionlabError):
    """An output folder that another command is writing into."""
