"""Every lesion of an evaluation as a row of a table, and the file that holds them."""

import csv
import io
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Literal, TypeAlias

from lesionlab.core.case import DataKind
from lesionlab.core.errors import StorageError
from lesionlab.core.storage import write_text_atomically

LESIONS_FILE = "lesions.csv"

Side: TypeAlias = Literal["reference", "predicted"]

_SIZE_COLUMNS: dict[DataKind, str] = {"volume": "volume_mm3", "picture": "area_px"}

SIZES_MM3 = (10.0, 50.0, 500.0)
"""Limits between the classes of lesion size."""

SIZE_CLASSES = ("to 10 mm³", "10 to 50 mm³", "50 to 500 mm³", "above 500 mm³")


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRow:
    """One lesion of one case: a component of 26 neighbours of the reference or of the predicted mask.

    Attributes:
        case: The case's id.
        group: The patient's.
        site: Where it was acquired, or an empty string.
        region: Of which region.
        side: Which mask it lies in.
        number: From 1, in the order of the array, within case, region and side.
        volume_mm3: Its volume; of a picture, whose pixels count as 1 mm wide and thick, its area in pixels.
        is_touched: Whether the other mask has a voxel in it: a lesion of the reference is then found, a predicted one
            is then real.
        dice: Of this lesion with all lesions of the other mask that touch it, together; 0 where none does.
    """

    case: str
    group: str
    site: str
    region: str
    side: Side
    number: int
    volume_mm3: float
    is_touched: bool
    dice: float

    @property
    def size_class(self) -> str:
        """Its class of size in words; a limit belongs to the smaller class."""
        return SIZE_CLASSES[bisect_left(SIZES_MM3, self.volume_mm3)]


def write_lesions(path: Path, lesions: Iterable[LesionRow], *, kind: DataKind = "volume") -> None:
    """Write one row per lesion: of volumes with its volume and class of size, of pictures with its area in pixels.

    Raises:
        StorageError: The file could not be written whole.
    """
    stream = io.StringIO(newline="")
    names = [*(field.name for field in fields(LesionRow)), *(["size_class"] if kind == "volume" else [])]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_SIZE_COLUMNS[kind] if name == "volume_mm3" else name for name in names)
    touched = names.index("is_touched")
    for cells in map(list, map(attrgetter(*names), lesions)):
        cells[touched] = str(cells[touched]).lower()
        writer.writerow(cells)
    write_text_atomically(path, stream.getvalue())


def read_lesions(path: Path) -> tuple[LesionRow, ...]:
    """Read what `write_lesions` wrote.

    Raises:
        StorageError: The file is no such table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return tuple(_lesion(cells) for cells in csv.DictReader(stream))
    except (OSError, ValueError, KeyError, TypeError, StopIteration, csv.Error) as error:
        raise StorageError(
            "a table of lesions",
            found=f"{type(error).__name__}: {error}",
            where=path,
            next_step="run lesionlab evaluate again into this folder",
        ) from error


def _lesion(cells: dict[str, str]) -> LesionRow:
    sides: dict[str, Side] = {"reference": "reference", "predicted": "predicted"}
    return LesionRow(
        case=cells["case"],
        group=cells["group"],
        site=cells["site"],
        region=cells["region"],
        side=sides[cells["side"]],
        number=int(cells["number"]),
        volume_mm3=float(next(cells[name] for name in _SIZE_COLUMNS.values() if name in cells)),
        is_touched={"true": True, "false": False}[cells["is_touched"]],
        dice=float(cells["dice"]),
    )
