"""Preprocessed cases on disk, memory-mapped and shared by all workers."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from lesionlab.core.case import Case
from lesionlab.core.errors import LabelError
from lesionlab.core.grid import Box, Grid
from lesionlab.core.labels import Labels
from lesionlab.core.progress import track
from lesionlab.core.recipe import Preprocessing
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.engine.content_key import content_key
from lesionlab.engine.preprocess import Prepared, prepare
from lesionlab.transforms.geometry import Geometry

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCase:
    """One preprocessed case; its arrays are opened, not loaded, at each call.

    Attributes:
        id: Of the case.
        group: The patient.
        site: Where it was acquired.
        folder: Where image.npy and label.npy lie, in Fortran order: an axial slice is one run of bytes.
        geometry: The way back to the scan's own grid.
        background: Value of air in each modality, for padding.
        space_code: NIfTI code of the scan's space.
        category: What the whole case shows, or None where nobody said.
    """

    id: str
    group: str
    site: str
    folder: Path
    geometry: Geometry
    background: tuple[float, ...]
    space_code: int
    category: str | None = None

    def image(self) -> Float32[np.ndarray, "modality x y z"]:
        """Return the memory-mapped, normalised image."""
        return _open(self.folder / "image.npy")

    def label(self) -> UInt8[np.ndarray, "x y z"]:
        """Return the memory-mapped label values.

        Raises:
            LabelError: The case has no mask.
        """
        path = self.folder / "label.npy"
        if not path.exists():
            raise LabelError(
                "a reference mask", found="none", where=f"case {self.id}", next_step="add its mask or leave it out"
            )
        return _open(path)


def store_cases(
    cases: Sequence[Case], folder: Path, *, modalities: Sequence[str], settings: Preprocessing, labels: Labels
) -> tuple[StoredCase, ...]:
    """Preprocess what is not yet in the store, and open all cases.

    Each case lies under a key made from the bytes of its files and the settings, so that changed data or settings
    are prepared again and finished work never is.

    Args:
        cases: What to prepare.
        folder: The store; it may be shared by any number of trainings.
        modalities: Which, in the order of the network's input.
        settings: From the plan or recipe.
        labels: Which stored values masks may hold.

    Raises:
        LayoutError, ImageError, GridError, LabelError: As `prepare`.
        StorageError: The store could not be written; cases already in it stay.
    """
    return tuple(
        _store_case(case, folder, modalities=modalities, settings=settings, labels=labels)
        for case in track(cases, what="preparing cases", total=len(cases))
    )


def _store_case(
    case: Case, folder: Path, *, modalities: Sequence[str], settings: Preprocessing, labels: Labels
) -> StoredCase:
    parts = [case.parts, case.label_part, labels.lesion_above]
    key = content_key(case.files, settings=[_FORMAT, list(modalities), settings.model_dump(), parts])
    target = folder / f"{case.id}-{key}"
    if not (target / "case.json").exists():
        _write(prepare(case, modalities, settings=settings, labels=labels), target)
    content = json.loads((target / "case.json").read_text(encoding="utf-8"))
    return StoredCase(
        id=case.id,
        group=case.group,
        site=case.site,
        folder=target,
        geometry=_parse_geometry(content["geometry"]),
        background=tuple(content["background"]),
        space_code=content["space_code"],
        category=case.category,
    )


def _write(prepared: Prepared, target: Path) -> None:
    """Write the arrays first and case.json last: its presence says that the case is whole."""
    write_bytes_atomically(target / "image.npy", _npy(prepared.image))
    if prepared.label is not None:
        write_bytes_atomically(target / "label.npy", _npy(prepared.label))
    content = {
        "geometry": asdict(prepared.geometry),
        "background": prepared.background,
        "space_code": prepared.space_code,
    }
    write_text_atomically(target / "case.json", json.dumps(content))


def _npy(array: Shaped[np.ndarray, "..."]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asfortranarray(array), allow_pickle=False)
    return buffer.getvalue()


def _parse_geometry(content: dict[str, Any]) -> Geometry:
    scan, working = (Grid.of(content[name]["shape"], np.array(content[name]["affine"])) for name in ("scan", "working"))
    box = Box(start=tuple(content["box"]["start"]), stop=tuple(content["box"]["stop"]))
    return Geometry(scan=scan, working=working, box=box)


def _open(path: Path) -> Shaped[np.ndarray, "..."]:
    opened: Shaped[np.ndarray, "..."] = np.load(os.fspath(path), mmap_mode="r", allow_pickle=False)
    return opened
