"""What was said of whole cases, as files: for programs (JSON), and for people and their own programs (CSV)."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, StorageError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.storage import write_text_atomically
from lesionlab.layouts.tables import read_table

TABLE_FILE = "categories.csv"
JSON_FILE = "categories.json"
PROBABILITY = "probability_"
"""What the column of a category's probability begins with."""

SUM_TOLERANCE = 0.01


class Said(BaseModel):
    """What was said of one case.

    Attributes:
        key: Of all that went into it, so that finished work is known.
        group: The patient.
        site: Where it was acquired, or an empty string.
        predicted: The category that it was taken for.
        probabilities: Of every category.
        made_by: Key of the checkpoint that classified it.
        used: Which file became which modality, what was not found and what was ignored, for people to read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    group: str
    site: str
    predicted: str
    probabilities: dict[str, float]
    made_by: str = ""
    used: str = ""


class CategoryFile(BaseModel):
    """The content of categories.json.

    Attributes:
        categories: In the order of the classifier's outputs.
        threshold: Of two categories, the second is predicted when its probability is above this.
        cases: By id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    categories: tuple[str, ...]
    threshold: float
    cases: dict[str, Said]


_FILE = JsonFile(
    schema=CategoryFile,
    error=StorageError,
    wanted="the probabilities of a classification",
    next_step="classify the cases again",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTable:
    """What any program said of cases.

    Attributes:
        categories: In the order of the table's columns.
        probabilities: By case; they add up to 1.
        predicted: By case: the number of the category it was taken for.
    """

    categories: tuple[str, ...]
    probabilities: dict[str, Float[np.ndarray, "category"]]
    predicted: dict[str, int]


def chosen(probabilities: Sequence[float], *, threshold: float) -> int:
    """Return the number of the category: of two the second when above the threshold, of more the likeliest."""
    if len(probabilities) == 2:
        return int(probabilities[1] > threshold)
    return int(np.argmax(probabilities))


class CategoryRecord:
    """The classified cases of a folder: a record for the loop over cases, kept in categories.json.

    Cases of an earlier run stay until `finish`. The file is written anew whenever a twentieth more cases were added.

    Args:
        folder: Of both files; they need not exist. Damaged ones, and those of other categories, count as nothing done.
        categories: In the order of the classifier's outputs.
        threshold: As in `CategoryFile`.
        made_by: Key of the checkpoint that classifies.
        used: As in `Said`, by case.
    """

    def __init__(
        self,
        folder: Path,
        *,
        categories: tuple[str, ...],
        threshold: float,
        made_by: str,
        used: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._folder = folder
        self._empty = CategoryFile(categories=categories, threshold=threshold, cases={})
        self._made_by = made_by
        self._used = used
        earlier = read_category_file(folder)
        self._cases = dict(earlier.cases) if earlier is not None and earlier.categories == categories else {}
        self._unwritten = 0

    def is_done(self, case_id: str, *, key: str) -> bool:
        """Return whether the case was classified from the same content."""
        return case_id in self._cases and self._cases[case_id].key == key

    def forget(self, case_id: str) -> None:
        """Remove a case, if it was ever classified."""
        self._cases.pop(case_id, None)

    def add(self, case_id: str, result: Mapping[str, float], *, key: str) -> None:
        """Record the probabilities of a case.

        Raises:
            StorageError: The file could not be written.
        """
        said = Said(
            key=key,
            group="",
            site="",
            predicted="",
            probabilities=dict(result),
            made_by=self._made_by,
            used=self._used.get(case_id, ""),
        )
        self._cases[case_id] = self._chosen(said)
        self._unwritten += 1
        if self._unwritten > len(self._cases) // 20:
            self.save()

    def save(self) -> None:
        """Write what is recorded, for a run that goes on later.

        Raises:
            StorageError: The file could not be written.
        """
        _write_json(self._folder, self._empty.model_copy(update={"cases": self._cases}))
        self._unwritten = 0

    def finish(self, cases: Sequence[Case]) -> tuple[Path, Path]:
        """Write both files for these cases alone, as far as they were classified, and return their paths.

        Raises:
            StorageError: One could not be written whole.
        """
        self._cases = {
            case.id: self._chosen(self._cases[case.id].model_copy(update={"group": case.group, "site": case.site}))
            for case in cases
            if case.id in self._cases
        }
        content = self._empty.model_copy(update={"cases": self._cases})
        write_text_atomically(self._folder / TABLE_FILE, table_of(content))
        return self._folder / TABLE_FILE, _write_json(self._folder, content)

    def _chosen(self, said: Said) -> Said:
        names = self._empty.categories
        number = chosen([said.probabilities[name] for name in names], threshold=self._empty.threshold)
        return said.model_copy(update={"predicted": names[number]})


def read_category_file(folder: Path) -> CategoryFile | None:
    """Return the content of a folder's categories.json; None where it is absent or, with a warning, damaged."""
    return _FILE.read_if_sound(folder / JSON_FILE)


def table_of(content: CategoryFile) -> str:
    """Return the text of categories.csv."""
    header = ["case", "group", "site", "predicted", *(PROBABILITY + name for name in content.categories)]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for case, said in content.cases.items():
        numbers = [f"{said.probabilities[name]:.6f}" for name in content.categories]
        writer.writerow([case, said.group, said.site, said.predicted, *numbers])
    return buffer.getvalue()


def _write_json(folder: Path, content: CategoryFile) -> Path:
    text = json.dumps(content.model_dump(), indent=1, ensure_ascii=False) + "\n"
    write_text_atomically(folder / JSON_FILE, text)
    return folder / JSON_FILE


def read_categories(path: Path, cases: Sequence[Case]) -> CategoryTable:
    """Read what was said of cases from a CSV of any program.

    It needs the column ``case`` and one ``probability_<category>`` per category; where ``predicted`` is absent, the
    likeliest category is taken.

    Args:
        path: The table.
        cases: What was to be predicted; each must be in the table, and other rows are left out.

    Raises:
        LayoutError: A column or case is missing or there twice, or a cell holds no such number or category.
    """
    rows = read_table(path)
    columns = [name for name in (rows[0] if rows else {}) if name.startswith(PROBABILITY)]
    categories = tuple(name.removeprefix(PROBABILITY) for name in columns)
    if len(columns) < 2 or "case" not in rows[0]:
        found = ", ".join(rows[0]) if rows else "an empty table"
        raise _error(path, f"the columns case and {PROBABILITY}<category> of at least two categories", found)
    by_case = _by_case(rows, path=path)
    lacking = [case.id for case in cases if case.id not in by_case]
    if lacking or not cases:
        found = f"none for {len(lacking)} of {len(cases)}: {', '.join(lacking[:8])}" if cases else "no case"
        raise _error(path, "a row for every case", found)
    wanted = {case.id: by_case[case.id] for case in cases}
    probabilities = {name: _numbers(row, columns, path=path) for name, row in wanted.items()}
    return CategoryTable(
        categories=categories,
        probabilities=probabilities,
        predicted={name: _predicted(row, probabilities[name], categories, path=path) for name, row in wanted.items()},
    )


def _by_case(rows: Sequence[Mapping[str, str]], *, path: Path) -> dict[str, Mapping[str, str]]:
    by_case: dict[str, Mapping[str, str]] = {}
    for row in rows:
        if row["case"] in by_case:
            raise _error(path, "one row per case", f"two of {row['case']}")
        by_case[row["case"]] = row
    return by_case


def _numbers(row: Mapping[str, str], columns: Sequence[str], *, path: Path) -> Float[np.ndarray, "category"]:
    try:
        numbers = [float(row[name]) for name in columns]
    except ValueError:
        numbers = [math.nan]
    is_sound = all(math.isfinite(number) and 0 <= number <= 1 for number in numbers)
    if not is_sound or abs(sum(numbers) - 1) > SUM_TOLERANCE:
        found = ", ".join(repr(row[name]) for name in columns)
        raise _error(path, "probabilities between 0 and 1 that add up to 1", f"{found} of case {row['case']}")
    return np.array(numbers) / sum(numbers)


def _predicted(
    row: Mapping[str, str], probabilities: Float[np.ndarray, "category"], categories: Sequence[str], *, path: Path
) -> int:
    name = row.get("predicted", "")
    if name and name not in categories:
        raise _error(path, f"a category among {', '.join(categories)}", f"{name!r} of case {row['case']}")
    return categories.index(name) if name else int(probabilities.argmax())


def _error(path: Path, wanted: str, found: str) -> LayoutError:
    return LayoutError(wanted, found=found, where=path, next_step="correct the table, or predict again")
