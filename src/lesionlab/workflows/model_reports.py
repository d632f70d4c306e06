"""The reports that are compared, by model: NAME=FOLDER, or FOLDER alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionlab.core.errors import OptionError
from lesionlab.core.lesion_table import LESIONS_FILE, LesionRow, read_lesions
from lesionlab.core.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReports:
    """One model and the reports of its trainings.

    Attributes:
        name: As given, or from the folder.
        reports: One per training seed.
        lesions: Of every report in turn; None for a report without such a table.
    """

    name: str
    reports: tuple[Report, ...]
    lesions: tuple[tuple[LesionRow, ...] | None, ...]


def read_models(words: Sequence[str]) -> tuple[ModelReports, ...]:
    """Read every report; a name that is given several times is one model with several trainings.

    Args:
        words: ``NAME=FOLDER``, or ``FOLDER``, which is named by the parts of its path that tell it from the others.

    Raises:
        OptionError: There are fewer than two models, or a folder was given twice.
        StorageError: A folder holds no report.
    """
    if len(words) < 2:
        raise OptionError(
            "two reports or more, and then the folder for the comparison",
            found=f"{len(words)} report{'' if len(words) == 1 else 's'}",
            where=", ".join(words) or "the command",
            next_step="lesionlab compare NAME=REPORT NAME=REPORT OUT",
        )
    named = [_divide(word) for word in words]
    folders = [folder.resolve() for _, folder in named]
    names = [name or end for (name, _), end in zip(named, _tell_apart(folders) if folders else [], strict=True)]
    if len(set(folders)) < len(folders) or len(set(names)) < 2:
        raise OptionError(
            "reports of two models or more, each once",
            found=f"{len(set(names))} model(s), {len(set(folders))} different folder(s)",
            where=", ".join(words) or "the reports",
            next_step="give NAME=FOLDER for each, and last the folder to write to; one NAME joins a model's trainings",
        )
    by_name: dict[str, list[Path]] = {}
    for name, folder in zip(names, folders, strict=True):
        by_name.setdefault(name, []).append(folder)
    return tuple(
        ModelReports(
            name=name,
            reports=tuple(Report.read(folder) for folder in own),
            lesions=tuple(_lesions(folder) for folder in own),
        )
        for name, own in by_name.items()
    )


def _divide(word: str) -> tuple[str, Path]:
    name, equals, folder = word.partition("=")
    return (name, Path(folder)) if equals and name and not Path(word).exists() else ("", Path(word))


def _tell_apart(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ; parts that all share at their end are left out."""
    parts = [list(folder.parts) for folder in folders]
    while len({own[-1] for own in parts}) == 1 and all(len(own) > 1 for own in parts):
        for own in parts:
            own.pop()
    longest = max(len(own) for own in parts)
    for length in range(1, longest + 1):
        names = ["/".join(own[-length:]) for own in parts]
        if len(set(names)) == len(set(folders)):
            return names
    return [str(folder) for folder in folders]


def _lesions(folder: Path) -> tuple[LesionRow, ...] | None:
    path = folder / LESIONS_FILE
    return read_lesions(path) if path.is_file() else None
