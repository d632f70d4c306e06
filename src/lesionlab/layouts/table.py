"""A table of paths: the form for files that lie anyhow."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.image_formats import ending_of
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.core.text_files import read_cells
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import describe, in_order
from lesionlab.layouts.listed_files import listed_file
from lesionlab.layouts.modality_names import SPELLINGS, modality_named
from lesionlab.layouts.tables import columns_of, read_table, split_named, tables_in

CITATION = "no paper: the table is lesionlab's own form"

logger = logging.getLogger(__name__)

FACTS = ("id", "group", "site", "split", "category", "label", "brain_mask", "visit")
"""Columns that are no modality; all but the first may be left out."""

MASK_COLUMNS = ("label", "mask", "seg", "segmentation")
"""What people call the column of masks."""


@layout("table")
class Table:
    """One CSV or TSV with a row per case and columns for facts and modalities.

    The columns are ``id,group,site,split,category,label,brain_mask`` and one per modality. Only ``id`` and one modality
    must be there; capitals do not matter, and modalities may have any of their usual names (``T1w``, ``FLAIR``).
    ``group`` is the patient (else the id), ``label`` (or ``mask``, ``seg``, ``segmentation``) the path of the mask,
    ``brain_mask`` that of a mask of the whole brain, ``category`` what the whole case shows. Paths are relative to the
    table's folder, or absolute. A case whose cell of a modality is empty lacks it. Tables of something else are left
    alone; where several name images, ``file`` in lesionlab.toml says which one is meant. There, too, are the meanings
    of masks that hold more than 0 and 1.

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
        self._columns = _meanings(read_table(self._path)[0], path=self._path)
        renamed = [f"{name} is the column {column}" for column, name in self._columns.items() if column != name]
        if renamed:
            logger.info("%s: %s", self._path.name, ", ".join(renamed))
        self.modalities = tuple(name for name in self._columns.values() if name not in FACTS)
        self.labels = options.labels(LESION)
        self.citation = options.citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id.

        Raises:
            LayoutError: Two cases have one id, or a cell names no split or no file that is there.
        """
        rows = read_table(self._path)
        found = [self._case({name: row[column] for column, name in self._columns.items()}) for row in rows]
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


def _meanings(columns: Iterable[str], *, path: Path) -> dict[str, str]:
    """Return what each column with a name is: a fact, or a modality by lesionlab's name where it has one.

    Raises:
        LayoutError: Two columns are the same.
    """
    meanings = {column: _meaning(column) for column in columns if column}
    for name in meanings.values():
        same = [column for column, meaning in meanings.items() if meaning == name]
        if len(same) > 1:
            raise LayoutError(
                f"one column for {name!r}",
                found=" and ".join(same),
                where=path,
                next_step="take one of them out, or rename it to what it shows",
            )
    return meanings


def _meaning(column: str) -> str:
    if column.lower() in MASK_COLUMNS:
        return "label"
    known = modality_named(column)
    return known if known in SPELLINGS and column not in FACTS else column


def _find_table(folder: Path, *, name: str) -> Path:
    tables = tables_in(folder)
    named = [path for path in tables if (path.name == name if name else _is_of_cases(path))]
    if len(named) > 1 and not name:
        named = [path for path in named if _names_images(path)] or named
    if len(named) != 1:
        raise LayoutError(
            f"one table {name or 'whose columns are id and at least one modality'}",
            found=" and ".join(path.name for path in named) or describe(folder),
            where=folder,
            next_step="name it as file in lesionlab.toml" if named else "see docs/layouts.md or lesionlab list layouts",
        )
    return named[0]


def _is_of_cases(path: Path) -> bool:
    columns = columns_of(path)
    return "id" in columns and any(_meaning(column) not in FACTS for column in columns if column)


def _names_images(path: Path) -> bool:
    """Return whether any cell looks like the path of an image: a table of other facts about the cases has none."""
    return any(ending_of(Path(cell)) for line in read_cells(path)[1:] for cell in line)
