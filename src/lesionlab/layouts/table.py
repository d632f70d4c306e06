"""A table of paths: the form for files that lie anyhow."""

from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import describe, in_order, visible
from lesionlab.layouts.listed_files import listed_file
from lesionlab.layouts.tables import ENDINGS, read_table, split_named

CITATION = "no paper: the table is lesionlab's own form"

FACTS = ("id", "group", "site", "split", "category", "label", "brain_mask", "visit")
"""Columns that are no modality; all but the first may be left out."""


@layout("table")
class Table:
    """One CSV or TSV with a row per case and columns for facts and modalities.

    The columns are ``id,group,site,split,category,label,brain_mask`` and one per modality. Only ``id`` and one modality
    must be there. ``group`` is the patient (else the id), ``label`` the path of the mask, ``brain_mask`` that of a mask
    of the whole brain, ``category`` what the whole case shows. Paths are relative to the table's folder, or absolute. A
    case whose cell of a modality is empty lacks it. Where the folder has several tables with a column ``id``, ``file``
    in lesionlab.toml says which; there, too, are the meanings of masks that hold more than 0 and 1.

    A column ``visit`` (a date as 2024-05-01, or a number) says in which order a patient's cases were made.

    Args:
        folder: Where the table lies.

    Raises:
        LayoutError: There is no such table, or more than one, or it cannot be read.
    """

    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        options = read_options(folder, used={"file", "regions", "ignored", "lesion_above"})
        self._path = _find_table(folder, name=options.file)
        columns = list(read_table(self._path)[0])
        self.modalities = tuple(name for name in columns if name and name not in FACTS)
        self.labels = options.labels(LESION)
        self.citation = options.citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id.

        Raises:
            LayoutError: Two cases have one id, or a cell names no split or no file that is there.
        """
        found = [self._case(row) for row in read_table(self._path)]
        yield from in_order(found, wanted="rows of cases", folder=self.folder)

    def _case(self, row: dict[str, str]) -> Case:
        case_id = row["id"]
        images = {
            modality: self._file(row[modality], what=f"an image of modality {modality!r}", case_id=case_id)
            for modality in self.modalities
            if row[modality]
        }
        if not case_id or not images or set(case_id) & set("/\\"):
            raise LayoutError(
                "rows with an id without slashes and at least one image",
                found=", ".join(row.values()),
                where=self._path,
                next_step="complete or remove the row",
            )
        label, brain_mask = row.get("label", ""), row.get("brain_mask", "")
        return Case(
            id=case_id,
            images=images,
            label=self._file(label, what="a mask", case_id=case_id) if label else None,
            group=row.get("group") or case_id,
            site=row.get("site", ""),
            visit=row.get("visit", ""),
            **split_fields(split_named(row.get("split", ""), where=self._path)),
            category=row.get("category") or None,
            brain_mask=self._file(brain_mask, what="a mask of the brain", case_id=case_id) if brain_mask else None,
        )

    def _file(self, cell: str, *, what: str, case_id: str) -> Path:
        return listed_file(self.folder, cell, what=what, case_id=case_id, listed_in=self._path.name)


def _find_table(folder: Path, *, name: str) -> Path:
    tables = [path for path in visible(folder) if path.suffix.lower() in ENDINGS and path.is_file()]
    named = [path for path in tables if (path.name == name if name else _is_of_cases(path))]
    if len(named) != 1:
        raise LayoutError(
            f"one table {name or 'whose columns are id and at least one modality'}",
            found=" and ".join(path.name for path in named) or describe(folder),
            where=folder,
            next_step="name it as file in lesionlab.toml" if named else "see docs/layouts.md or lesionlab list layouts",
        )
    return named[0]


def _is_of_cases(path: Path) -> bool:
    rows = read_table(path)
    return bool(rows) and "id" in rows[0] and bool(set(rows[0]) - {*FACTS, ""})
